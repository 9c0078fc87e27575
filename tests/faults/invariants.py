"""What must hold after every storm, whatever has struck: each broken rule is one line, its kind first."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from jobs.contract import JobFolder, Result
from suite.planning.plan import Job
from suite.running import lock, state
from tests.faults import program, targets

KINDS = ("lost", "duplicated", "changed", "failed", "left_over")


def published(runs: Path, jobs: Sequence[Job], *, besides: Mapping[str, int]) -> dict[str, int]:
    """By job, the attempt that has counted since the last look."""
    found = {}
    for job in jobs:
        if job.id not in besides and (result := state.finished(JobFolder(runs / job.id))) is not None:
            found[job.id] = result.attempt
    return found


def broken(runs: Path, jobs: Sequence[Job], seen: Mapping[str, int]) -> list[str]:
    """Every rule that does not hold.

    Args:
        runs: the runs folder; its driver has ended.
        jobs: those of the plan.
        seen: the attempt by which each job was first seen to be finished, as far as anybody looked.
    """
    problems = [problem for job in jobs for problem in _of_job(JobFolder(runs / job.id), job, seen.get(job.id))]
    problems += [f"left_over process {pid}" for pid in targets.marked(runs)]
    return problems + (["left_over lock of the runs folder"] if lock.held(runs) else [])


def _of_job(folder: JobFolder, job: Job, counted: int | None) -> Iterator[str]:
    result = state.finished(folder)
    if result is None:
        yield f"lost {job.id}: it has no result"
        return
    if result.status != "ok":
        yield f"failed {job.id}: {result.failure}: {result.reason}"
    elif result.numbers != program.numbers(job.spec):
        yield f"changed {job.id}: {result.numbers}"
    yield from _once(folder, result, counted)


def _once(folder: JobFolder, result: Result, counted: int | None) -> Iterator[str]:
    """One attempt counts, the newest, and nothing ran after it."""
    if result.attempt != folder.attempts()[-1]:
        yield f"duplicated {result.id}: attempt {result.attempt} counts, though {folder.attempts()[-1]} was begun"
    if counted is not None and result.attempt != counted:
        yield f"duplicated {result.id}: attempt {counted} had counted, now {result.attempt} does"
