"""The jobs of a storm: most do nothing, the others train for a second or two; and the runtime that runs them."""

import random
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from jobs.contract import JobFolder, JobSpec, Launch
from suite.planning.plan import Job
from suite.running.runtimes.local import Local
from tests.faults import program

STEPS = 40
STEP_S = 0.04


class Programs(Local):
    """The local runtime with the storm's trainer in it."""

    def argv(self, folder: JobFolder, spec: JobSpec, launch: Launch, *, node: int = 0) -> list[str]:
        return [sys.executable, "-m", "tests.faults.program", str(folder.root.absolute()), str(launch.attempt)]


RUNTIME = Programs()
NAME = "tests.faults.plan:RUNTIME"


def jobs(seed: int, *, idle: int, training: int) -> list[Job]:
    """`idle` jobs without a step and `training` jobs of STEPS steps; other seeds give other jobs."""
    first = seed * 100_000
    none = [_job(first + number, steps=0) for number in range(idle)]
    return none + [_job(first + idle + number, steps=STEPS) for number in range(training)]


def shuffled(planned: Sequence[Job], seed: int) -> Mapping[str, float]:
    """Weights that make the scheduler start the jobs in random order."""
    draw = random.Random(seed)
    return {job.id: draw.random() for job in planned}


def undisturbed(job: Job) -> dict[str, Any]:
    """The numbers of a job that nothing ever happened to."""
    return program.numbers(job.spec.seed, range(1, job.spec.steps + 1))


def _job(seed: int, *, steps: int) -> Job:
    spec = JobSpec(
        task="fault",
        data="none",
        split="default",
        arguments={"step_s": STEP_S},
        variant="softmax",
        variant_arguments={},
        seed=seed,
        steps=steps,
        global_batch=1,
    )
    return Job(spec=spec, id=spec.id, entry="fault")
