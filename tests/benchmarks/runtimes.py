"""What a no-op job costs in a runtime beyond starting its process: `python -m tests.benchmarks.runtimes [RUNTIME]...`.

Goal: at most 400 ms a job in a container. The image is `graph`, built before; the program is Python itself, so that
what is left is the supervisor, the engine's client, the container and its end.
"""

import dataclasses
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from jobs.contract import JobFolder, JobSpec, Launch
from suite.errors import UsageError
from suite.running.order import Order
from suite.running.runtimes.docker import Docker
from suite.running.runtimes.local import Local
from suite.running.runtimes.podman import Podman
from suite.running.runtimes.runtime import Runtime
from suite.running.supervise import supervise
from tests.benchmarks.measure import table
from tests.suite.fake_runtime import spec

JOBS = 20
PROGRAM = ["-I", "-c", "pass"]


class _NoOp:
    """Another program in the same place."""

    def argv(self, folder: JobFolder, spec: JobSpec, launch: Launch, *, node: int = 0) -> list[str]:
        whole: list[str] = super().argv(folder, spec, launch, node=node)  # type: ignore[misc]
        return [*whole[: whole.index("-m")], *PROGRAM]


class _Local(_NoOp, Local):
    pass


class _Docker(_NoOp, Docker):
    pass


class _Podman(_NoOp, Podman):
    pass


LOCAL, DOCKER, PODMAN = _Local(), _Docker(), _Podman()
RUNTIMES: dict[str, Runtime] = {"local": LOCAL, "docker": DOCKER, "podman": PODMAN}


def bare() -> float:
    """Seconds to start Python and wait for it."""
    began = time.perf_counter()
    subprocess.run([sys.executable, *PROGRAM], check=True)
    return time.perf_counter() - began


def supervised(runs: Path, name: str, number: int) -> float:
    """Seconds of one attempt from its preparation to its published result; it leaves no output and is a failed row."""
    wanted = dataclasses.replace(spec("none", task="graph"), seed=number)
    order = Order(spec=wanted, runtime=f"{__name__}:{name.upper()}", retries=0)
    began = time.perf_counter()
    result = supervise(JobFolder(runs / wanted.id), order)
    took_s = time.perf_counter() - began
    if result.exit_code != 0:
        raise UsageError(f"A no-op job in {name} did not run: {result.reason}")
    return took_s


def main(names: list[str]) -> None:
    rows = []
    bare_s = statistics.median(bare() for _ in range(JOBS))
    for name in names or list(RUNTIMES):
        with tempfile.TemporaryDirectory() as folder:
            times_s = [supervised(Path(folder), name, number) for number in range(JOBS + 1)][
                1:
            ]  # the first one warms up
        middle, most = statistics.median(times_s), max(times_s)
        rows.append((name, JOBS, *(f"{s * 1000:.0f}" for s in (bare_s, middle, middle - bare_s, most - bare_s))))
    header = ("runtime", "jobs", "bare process, ms", "a job, ms", "overhead, ms (median)", "overhead, ms (worst)")
    print(table("Overhead of the runtimes", header, rows))


if __name__ == "__main__":
    sys.modules["tests.benchmarks.runtimes"] = sys.modules["__main__"]
    main(sys.argv[1:])
