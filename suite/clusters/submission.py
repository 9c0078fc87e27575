"""What was handed to SLURM from a runs folder: kept beside the jobs, so that status and cancel find it again."""

import dataclasses
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from jobs.contract import ContractError, read_json, write_json
from suite.clusters import script, slurm
from suite.clusters.slurm import Queued
from suite.errors import UsageError


@dataclasses.dataclass(frozen=True, kw_only=True)
class Submission:
    """One `unsmooth submit`."""

    plan: str
    mode: str
    jobs: tuple[str, ...]  # SLURM's numbers, in the order in which they were handed in
    submitted: str  # ISO 8601, UTC

    @classmethod
    def of(cls, plan: str, mode: str, jobs: list[str]) -> Self:
        """The submission of this moment."""
        now = datetime.now(UTC).isoformat(timespec="seconds")
        return cls(plan=plan, mode=mode, jobs=tuple(jobs), submitted=now)

    def save(self, runs: Path) -> None:
        """Remember it as the runs folder's latest."""
        write_json(_path(runs), dataclasses.asdict(self))

    def queued(self) -> list[Queued] | None:
        """What of it SLURM still has; None where SLURM does not answer."""
        return slurm.queue(self.jobs)


def latest(runs: Path) -> Submission | None:
    """The last one made from this runs folder, if any."""
    try:
        found = read_json(_path(runs))
        return Submission(**{**found, "jobs": tuple(found["jobs"])})
    except (ContractError, KeyError, TypeError):
        return None


def refuse_second(runs: Path) -> None:
    """Raises UsageError while an earlier submission from this runs folder waits or runs."""
    before = latest(runs)
    if before is None or not (queued := before.queued()):
        return
    raise UsageError(
        f"SLURM job {queued[0].id} ({before.plan}, {queued[0].state.lower()}) already works in {runs}. Wait for it,"
        " stop it with `unsmooth cancel`, or choose another folder with --runs."
    )


def mark_cancelled(runs: Path, submission: Submission) -> None:
    """Tell the scripts, by a file each, that what is interrupted now is not to be queued again."""
    for job in submission.jobs:
        (script.folder(runs) / f"{job}.cancelled").touch()


def _path(runs: Path) -> Path:
    return script.folder(runs) / "submission.json"
