"""What of a plan is done, what has become stale, and what a run would do now."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

from jobs.contract import JobFolder
from suite import provenance
from suite.planning.plan import Job
from suite.running import state
from suite.running.agenda import Redo


@dataclasses.dataclass(frozen=True, kw_only=True)
class Outlook:
    """The jobs of a plan as they stand."""

    jobs: tuple[Job, ...]
    left: tuple[Job, ...]  # what a run would start
    finished: tuple[str, ...]  # ids with a result that stands: ok or skipped
    failed: tuple[str, ...]  # ids that failed and are not run again unless asked for
    stale: Mapping[str, str]  # id -> what changed since its result


def read(jobs: Sequence[Job], runs: Path, redo: Redo, data_root: Path | None = None) -> Outlook:
    """How `jobs` stand in `runs`, and which of them a run would start under `redo`.

    Args:
        data_root: where the data sets lie now; None: where they lay when the jobs ran.
    """
    finished: list[str] = []
    failed: list[str] = []
    left: list[Job] = []
    stale: dict[str, str] = {}
    for job in jobs:
        folder = JobFolder(runs / job.id)
        result = state.finished(folder) if folder.result.exists() else None
        if result is not None and (reason := provenance.stale(folder, data_root=data_root)):
            stale[job.id] = reason
        if job.broken is not None:
            failed.append(job.id)
        elif result is None or result.status == "blocked" or _again(result.status, job.id in stale, redo):
            left.append(job)
        else:
            (failed if result.status == "failed" else finished).append(job.id)
    return Outlook(jobs=tuple(jobs), left=tuple(left), finished=tuple(finished), failed=tuple(failed), stale=stale)


def _again(status: str, stale: bool, redo: Redo) -> bool:
    return redo.everything or (redo.stale and stale) or (redo.failed and status == "failed")
