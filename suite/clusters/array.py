"""A plan as job arrays, for sites without Ray: which orders go into which array, and what each array asks for."""

import dataclasses
import itertools
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from suite.clusters.site import Site
from suite.planning.plan import Job
from suite.running.order import Order


@dataclasses.dataclass(frozen=True, kw_only=True)
class Array:
    """Jobs that ask for the same and wait for no other of them."""

    depth: int  # how many jobs stand before each of them: 0 starts at once
    cpus: int
    gpus: int
    groups: tuple[tuple[Order, ...], ...]  # a task each; its jobs run in a row


def divide(orders: Sequence[tuple[Job, Order]], *, gpus: Mapping[str, int], largest: int) -> list[Array]:
    """The arrays, upstream jobs first.

    Args:
        orders: every job that is left, with its order; upstream jobs before those that need them.
        gpus: GPUs by job id.
        largest: how many tasks an array may have; more jobs than that share tasks.
    """
    depth: dict[str, int] = {}
    for job, _ in orders:
        depth[job.id] = depth.get(job.upstream or "", -1) + 1
    kinds: dict[tuple[int, int, int], list[Order]] = {}
    for job, order in orders:
        wanted = (depth[job.id], job.spec.threads * order.processes, gpus[job.id])
        kinds.setdefault(wanted, []).append(order)
    return [
        Array(depth=place, cpus=cpus, gpus=count, groups=_grouped(given, largest))
        for (place, cpus, count), given in sorted(kinds.items())
    ]


def _grouped(orders: Sequence[Order], largest: int) -> tuple[tuple[Order, ...], ...]:
    size = math.ceil(len(orders) / largest)
    return tuple(tuple(orders[at : at + size]) for at in range(0, len(orders), size))


def write(arrays: Sequence[Array], path: Path) -> None:
    """One line for each task, array after array."""
    groups = itertools.chain.from_iterable(array.groups for array in arrays)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{json.dumps([order.to_dict() for order in group])}\n" for group in groups), "utf-8")


def calls(arrays: Sequence[Array], site: Site) -> Iterator[tuple[int, list[str], list[str]]]:
    """For each array: its depth, the options of its `sbatch`, and the words after the script."""
    first = 0
    for array in arrays:
        limit = f"%{site.slurm.at_once}" if site.slurm.at_once else ""
        options = [f"--array=0-{len(array.groups) - 1}{limit}", f"--cpus-per-task={array.cpus}"]
        if array.gpus:
            options.append(f"--gres={site.slurm.gres}:{array.gpus}")
        yield array.depth, options, ["jobs", str(first)]
        first += len(array.groups)
