"""Finished jobs on disk, written as a supervisor would."""

from pathlib import Path
from typing import Any

from jobs.contract import JobFolder, Result
from suite.planning.plan import Job


def finish(job: Job, runs: Path, *, status: str = "ok", failure: str | None = None, **cost: Any) -> JobFolder:
    """Leave spec.json and result.json of `job` in `runs`."""
    folder = JobFolder(runs / job.id)
    job.spec.save(folder.spec)
    Result(id=job.id, attempt=1, status=status, failure=failure, cost=cost).save(folder.result)
    return folder
