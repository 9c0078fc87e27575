"""Throughput and makespan, side by side with others: `python -m tests.benchmarks.placement`.

Goals: 1,000 no-op jobs a minute on 2 cores, each in a process of its own; a mixed plan of jobs of 1, 2 and 4 GPUs on 8
fake GPUs within 1.1 times the lower bound. The others start the same commands: plain Ray tasks, which keep no folders,
retry nothing and watch nothing; and submitit's local executor, which starts a Python of its own for each.
"""

import contextlib
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import ray
import submitit

from suite.planning.plan import Job
from suite.running import scheduler
from suite.running.driver import Options
from suite.running.progress import Quiet
from suite.running.runtimes.local import SOURCE_ROOT
from tests.benchmarks import sleeping
from tests.benchmarks.measure import table

JOBS, SUBMITTED, MIXED, GPUS, PORT = 300, 40, 60, 8, 26379


def suite_s(jobs: Sequence[Job], runs: Path, **options: object) -> float:
    """Seconds from the first job's folder to the last result."""
    wanted = Options(runs=runs, runtime=sleeping.NAME, **options)  # type: ignore[arg-type]
    scheduler.run(jobs, wanted, Quiet())
    first = min(path.stat().st_mtime for path in runs.glob("*/spec.json"))
    return max(path.stat().st_mtime for path in runs.glob("*/result.json")) - first


def ray_s(count: int, folder: Path) -> float:
    """The same commands as Ray tasks."""
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    task = ray.remote(_start)
    ray.get([task.remote(str(_place(folder, number)), 0.0) for number in range(4)])
    began = time.perf_counter()
    ray.get([task.remote(str(_place(folder, number)), 0.0) for number in range(count)])
    took = time.perf_counter() - began
    ray.shutdown()
    return took


def submitit_s(count: int, folder: Path) -> float:
    """The same commands by submitit's local executor, two at a time."""
    began = time.perf_counter()
    for at in range(0, count, 2):
        executor = submitit.LocalExecutor(folder=folder / "log")
        running = [executor.submit(_start, str(_place(folder, at + number)), 0.0) for number in range(2)]
        for one in running:
            one.result()
    return time.perf_counter() - began


def _place(folder: Path, number: int) -> Path:
    place = folder / str(number)
    (place / "attempts" / "1").mkdir(parents=True, exist_ok=True)
    return place


def _start(place: str, seconds: float) -> int:
    return subprocess.run(sleeping.command(Path(place), seconds), check=True).returncode


@contextlib.contextmanager
def _fake_gpus() -> Iterator[str]:
    """Ray with GPUs that nobody has; its address."""
    words = ["start", "--head", f"--port={PORT}", "--num-cpus=64", f"--num-gpus={GPUS}", "--block"]
    words += ["--include-dashboard=false", "--disable-usage-stats", "--node-ip-address=127.0.0.1"]
    process = subprocess.Popen([sys.executable, "-m", "ray.scripts.scripts", *words], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    next(line for line in process.stdout if "Ray runtime started" in line)
    try:
        yield f"127.0.0.1:{PORT}"
    finally:
        process.terminate()
        process.wait()


def makespan(runs: Path) -> tuple[float, float]:
    """Seconds of a mixed plan, and the least that any schedule could take."""
    draw = random.Random(3)
    jobs = [sleeping.job(seed, seconds=draw.uniform(1, 8), gpus=draw.choice([1, 2, 4])) for seed in range(MIXED)]
    seconds = {job.id: float(job.spec.arguments["seconds"]) for job in jobs}
    with _fake_gpus() as address:
        took = suite_s(jobs, runs, address=address, weights=seconds)
    return took, sum(seconds[job.id] * (job.gpus or 0) for job in jobs) / GPUS


def main() -> None:
    """Print both tables."""
    os.environ |= {"PYTHONPATH": str(SOURCE_ROOT), "RAY_AUTH_MODE": "disabled", "RAY_USAGE_STATS_ENABLED": "0"}
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        ours = suite_s([sleeping.job(seed) for seed in range(JOBS)], folder / "runs", cpus=2) / JOBS
        theirs = [ray_s(JOBS, folder / "ray") / JOBS, submitit_s(SUBMITTED, folder / "submitit") / SUBMITTED]
        rows = [
            (name, f"{60 / each:,.0f}", f"{each / ours:.2f}")
            for name, each in zip(("unsmooth", "plain Ray tasks", "submitit, local"), (ours, *theirs), strict=True)
        ]
        print(table("No-op jobs, a process each, on 2 cores", ("by", "jobs a minute", "time over ours"), rows))
        took, bound = makespan(folder / "mixed")
        header = ("jobs", "over the lower bound")
        print(table(f"Makespan of jobs of 1, 2 and 4 GPUs on {GPUS}", header, [(MIXED, f"{took / bound:.2f}")]))


if __name__ == "__main__":
    main()
