"""What a no-op job costs beyond starting its process, through Ray and all: `python -m tests.benchmarks.scheduling`.

Goal: less than 50 ms a job. Starting Ray, once per command, is not counted.
"""

import os
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

from jobs.contract import JobFolder, Launch
from suite.running import scheduler
from suite.running.driver import Options
from suite.running.progress import Quiet
from suite.running.runtimes.local import SOURCE_ROOT
from tests.benchmarks.measure import table
from tests.suite.fake_runtime import NAME, RUNTIME, job

JOBS = 40


def started_bare(runs: Path) -> float:
    """Seconds to start the program of each job and wait for it, one after the other."""
    began = time.perf_counter()
    for number in range(JOBS):
        wanted, launch = job("silent", seed=number), Launch(attempt=1)
        folder = JobFolder(runs / wanted.id)
        wanted.spec.save(folder.spec)
        launch.save(folder.attempt(1).launch)
        environment = RUNTIME.environment(wanted.spec, launch)
        subprocess.run(RUNTIME.argv(folder, wanted.spec, launch), env=environment, check=True)
    return time.perf_counter() - began


def scheduled(runs: Path) -> float:
    """Seconds from the first attempt to the last result, one job at a time."""
    jobs = [job("skipped", seed=number) for number in range(JOBS)]
    scheduler.run(jobs, Options(runs=runs, runtime=NAME, cpus=1), Quiet())
    first = min(path.stat().st_mtime for path in runs.glob("*/spec.json"))
    last = max(path.stat().st_mtime for path in runs.glob("*/result.json"))
    return last - first


def main() -> None:
    os.environ["PYTHONPATH"] = str(SOURCE_ROOT)
    rows = []
    for _ in range(3):
        with tempfile.TemporaryDirectory() as bare, tempfile.TemporaryDirectory() as whole:
            bare_s, whole_s = started_bare(Path(bare)) / JOBS, scheduled(Path(whole)) / JOBS
        rows.append((bare_s * 1000, whole_s * 1000, (whole_s - bare_s) * 1000))
    middle = [f"{statistics.median(column):.0f}" for column in zip(*rows, strict=True)]
    header = ("jobs", "bare process, ms", "through the scheduler, ms", "overhead, ms a job")
    print(table("Scheduling no-op jobs", header, [(JOBS, *middle)]))


if __name__ == "__main__":
    main()
