"""What must hold after every storm. Each check returns a sentence per violation; no sentence, no harm."""

import dataclasses
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from jobs.contract import ContractError, JobFolder, Result
from suite.planning.plan import Job
from suite.running.runtimes.process import MARK
from tests.faults import plan, program
from tests.faults.scene import marked

_ASIDE = re.compile(r"\..+\.\d+")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Findings:
    """What a storm did to the results."""

    jobs: int
    lost: Sequence[str]  # no result, or one that says "failed" without a cause that the storm intended
    duplicated: Sequence[str]  # counted twice, run again after the end, or written by two at once
    changed: Sequence[str]  # not the numbers, or not the attempt, of the undisturbed run
    left: Sequence[str]  # processes and half-written files

    @property
    def all(self) -> list[str]:
        return [*self.lost, *self.duplicated, *self.changed, *self.left]

    def __str__(self) -> str:
        counts = f"{len(self.lost)} lost, {len(self.duplicated)} duplicated, {len(self.changed)} changed"
        left = f", {len(self.left)} left behind" if self.left else ""
        return f"{self.jobs} jobs: {counts}{left}"


def check(runs: Path, jobs: Sequence[Job], first_seen: Mapping[str, bytes]) -> Findings:
    """Judge a runs folder; `first_seen` are the bytes of each result.json when it was first there."""
    results = {job.id: result(JobFolder(runs / job.id)) for job in jobs}
    return Findings(
        jobs=len(jobs),
        lost=[sentence for job in jobs if (sentence := lost(job, results[job.id]))],
        duplicated=[*unplanned(runs, jobs), *rewritten(runs, first_seen), *crowded(runs)],
        changed=[sentence for job in jobs for sentence in changed(JobFolder(runs / job.id), job, results[job.id])],
        left=[*processes(runs), *half_written(runs)],
    )


def result(folder: JobFolder) -> Result | None:
    """The published result, if there is one that can be read."""
    try:
        return Result.load(folder.result)
    except ContractError:
        return None


def lost(job: Job, published: Result | None) -> str | None:
    """Every planned job has a result, and no fault of a storm may make one fail."""
    if published is None:
        return f"{job.id} has no result."
    return None if published.status == "ok" else f"{job.id} is {published.status}: {published.reason}"


def changed(folder: JobFolder, job: Job, published: Result | None) -> list[str]:
    """The numbers are those of the undisturbed run; the attempt is the newest, so that a cut-off one is discarded."""
    if published is None or published.status != "ok":
        return []
    wrong = []
    if published.numbers != plan.undisturbed(job):
        wrong.append(f"{job.id} reports {published.numbers}, undisturbed it reports {plan.undisturbed(job)}.")
    if folder.attempts()[-1:] != [published.attempt]:
        wrong.append(f"{job.id} counts attempt {published.attempt} of {folder.attempts()}.")
    return wrong


def unplanned(runs: Path, jobs: Sequence[Job]) -> list[str]:
    """There is one result per planned job, in the folder of its id, and no other."""
    planned = {job.id for job in jobs}
    found = [(path, result(JobFolder(path.parent))) for path in sorted(runs.rglob("result.json"))]
    return [
        f"{path} is a result of {there.id if there else 'nobody'} that was not planned."
        for path, there in found
        if path.parent.parent != runs or path.parent.name not in planned or not there or there.id != path.parent.name
    ]


def rewritten(runs: Path, first_seen: Mapping[str, bytes]) -> list[str]:
    """A result that was there once stays as it is: a finished job is not run again."""
    return [
        f"{job_id} was published twice."
        for job_id, content in first_seen.items()
        if not (path := JobFolder(runs / job_id).result).exists() or path.read_bytes() != content
    ]


def crowded(runs: Path) -> list[str]:
    """No two processes ever worked in one folder."""
    return [f"{path.parent.name}: {path.read_text()}." for path in sorted(runs.glob(f"*/{program.CROWD}"))]


def processes(runs: Path) -> list[str]:
    """Nothing of a job is left running."""
    return [f"Process {pid} of {path} is left." for pid, path in marked(MARK, runs.absolute())]


def half_written(runs: Path) -> list[str]:
    """No file is left that was to be renamed."""
    return [f"{path} is left." for path in sorted(runs.rglob(".*")) if _ASIDE.fullmatch(path.name)]
