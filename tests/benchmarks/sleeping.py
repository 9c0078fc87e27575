"""The runtime of the scheduling benchmarks: every job sleeps as long as its spec says, in a process of its own."""

import sys
from pathlib import Path

from jobs.contract import JobFolder, JobSpec, Launch
from suite.planning.plan import Job
from suite.running.runtimes.local import Local

PROGRAM = Path(__file__).with_name("noop.py")


def command(folder: Path, seconds: float) -> list[str]:
    """What is started for a job, whoever starts it."""
    return [sys.executable, "-I", "-S", str(PROGRAM), str(folder), "1", str(seconds)]


class Sleeping(Local):
    """The local runtime with another program in it."""

    def argv(self, folder: JobFolder, spec: JobSpec, launch: Launch, *, node: int = 0) -> list[str]:
        return command(folder.root, spec.arguments["seconds"])


RUNTIME = Sleeping()
NAME = "tests.benchmarks.sleeping:RUNTIME"


def job(seed: int, *, seconds: float = 0.0, gpus: int = 0) -> Job:
    """A job of `seconds` on so many GPUs."""
    spec = JobSpec(
        task="sleep", data="none", split="default", arguments={"seconds": seconds}, variant="softmax",
        variant_arguments={}, seed=seed, steps=1, global_batch=gpus or 1,
    )  # fmt: skip
    return Job(spec=spec, id=spec.id, entry="sleep", gpus=gpus)
