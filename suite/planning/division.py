"""Whether a global batch can be dealt out evenly to the processes that train on it."""

from collections.abc import Sequence

from suite.errors import UsageError
from suite.planning.catalogue import Catalogue
from suite.planning.plan import Job, Plan


def refuse_uneven(
    plan: Plan, jobs: Sequence[Job], catalogue: Catalogue, *, processes: int, gpus: int, nodes: int = 1
) -> None:
    """Every entry whose batch does not divide, before anything is started.

    Args:
        plan: where the jobs come from.
        jobs: those that are meant.
        catalogue: says which tasks give every process the whole batch.
        processes: per node on CPU.
        gpus: per node; 0 means CPU.
        nodes: per job. An entry may say otherwise for its own jobs.

    Raises:
        UsageError: one sentence for each such entry.
    """
    dealt = {job.entry: job for job in jobs if not catalogue.tasks[job.spec.task].full_batch}
    problems = []
    for entry, job in dealt.items():
        batch, found = job.spec.global_batch, job.devices(gpus=gpus, processes=processes, nodes=nodes)
        count, what = (found[0], "GPUs") if found[0] else (found[1], "processes")
        if batch % count:
            problems.append(
                f"{plan.source}: entry {entry!r}: global_batch {batch} is not divisible by {count} {what};"
                f" use {alternatives(batch, count)}."
            )
    if problems:
        raise UsageError(problems)


def alternatives(batch: int, count: int) -> str:
    """The numbers around `count` that do divide `batch`.

    >>> alternatives(1000, 3), alternatives(7, 2)
    ('1, 2, 4 or 5', '1')
    """
    fitting = [str(number) for number in range(1, 2 * count + 1) if batch % number == 0]
    return " or ".join(filter(None, [", ".join(fitting[:-1]), fitting[-1]]))
