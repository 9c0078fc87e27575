"""What is left to do: which jobs stand already, which may start now, which never will; largest first."""

import collections
import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from jobs.contract import JobFolder, Result
from suite import provenance
from suite.planning.plan import Job
from suite.running import prepare, retry, state


@dataclasses.dataclass(frozen=True, kw_only=True)
class Redo:
    """Which finished jobs are run again; what they left is set aside into their attempts."""

    everything: bool = False
    failed: bool = False
    stale: bool = False


class Agenda:
    """The jobs of one command, each waiting, running or settled."""

    def __init__(
        self,
        jobs: Sequence[Job],
        *,
        runs: Path,
        weights: Mapping[str, float],
        size: Callable[[Job], tuple[int, int]] = lambda job: (0, job.spec.threads),  # the largest goes first
        data_root: Path | None = None,
    ) -> None:
        self.jobs = list({job.id: job for job in jobs}.values())
        self.results: dict[str, Result] = {}
        self.running: dict[str, Job] = {}
        self._runs, self._data_root = runs, data_root
        rank = _priorities(self.jobs, weights)
        ordered = sorted(self.jobs, key=lambda job: (*size(job), rank[job.id]), reverse=True)
        self._waiting = {job.id: job for job in ordered}
        self._dependants: dict[str | None, list[Job]] = collections.defaultdict(list)
        for job in self.jobs:
            self._dependants[job.upstream].append(job)

    @property
    def unfinished(self) -> bool:
        """Whether a job is waiting or running."""
        return bool(self._waiting or self.running)

    def open(self, redo: Redo) -> None:
        """Settle what needs no process: jobs whose result stands, broken variants, and whatever they block.

        Dependants come first: a result of theirs that stands is not lost because the upstream job fails now.
        """
        for job in reversed(self.jobs):
            folder = JobFolder(self._runs / job.id)
            result = broken(folder, job) if job.broken is not None else standing(folder, redo, self._data_root)
            if result is not None:
                self.settle(result)
            elif reason := self._missing_upstream(job):
                self.settle(self._blocked(job, reason))

    def start_next(self, fits: Callable[[Job], bool]) -> Job | None:
        """Take the largest waiting job that may start and `fits`; smaller ones fill what it leaves free."""
        for job in self._waiting.values():
            if self._may_start(job) and fits(job):
                del self._waiting[job.id]
                self.running[job.id] = job
                return job
        return None

    def put_back(self, job: Job) -> None:
        """Its supervisor was lost: it waits again, before the others."""
        del self.running[job.id]
        self._waiting = {job.id: job, **self._waiting}

    def settle(self, result: Result) -> None:
        """The job has ended; jobs that still wait for its checkpoint are blocked if there is none."""
        self.running.pop(result.id, None)
        self._waiting.pop(result.id, None)
        self.results[result.id] = result
        if result.status == "ok" or result.failure == "preempted":
            return
        for job in self._dependants[result.id]:
            if job.id in self._waiting:
                self.settle(self._blocked(job, _sentence(result)))

    def stuck(self) -> list[str]:
        """One sentence for each waiting job: what keeps it from starting."""
        return [self._hindrance(job) for job in self._waiting.values()]

    def _hindrance(self, job: Job) -> str:
        if self._may_start(job):
            return f"{job.name} ({job.id}) finds no node with room for it."
        ended = self.results.get(job.upstream or "")
        how = "is waiting too" if ended is None else "was interrupted"
        return f"{job.name} ({job.id}) needs job {job.upstream}, which {how}."

    def _may_start(self, job: Job) -> bool:
        """Whether its upstream job, if any, has ended well; one that was interrupted has not ended."""
        if job.upstream in self._waiting or job.upstream in self.running:
            return False
        return job.upstream not in self.results or self.results[job.upstream].status == "ok"

    def _missing_upstream(self, job: Job) -> str | None:
        """Why an upstream job outside this command cannot be used; None if it can, or is part of the command."""
        if job.upstream is None or job.upstream in self._waiting or job.upstream in self.results:
            return None
        result = state.finished(JobFolder(self._runs / job.upstream))
        if result is None:
            return f"Upstream job {job.upstream} has no result and is not selected."
        return None if result.status == "ok" else _sentence(result)

    @property
    def waiting(self) -> list[Job]:
        """Jobs that have not begun, in the order of the plan."""
        return [job for job in self.jobs if job.id in self._waiting]

    def _blocked(self, job: Job, reason: str) -> Result:
        return _publish_blocked(JobFolder(self._runs / job.id), job, reason)


def standing(folder: JobFolder, redo: Redo, data_root: Path | None = None) -> Result | None:
    """The result that stands, or None if the job is to run; then nothing of another version is left in its way."""
    result = state.finished(folder)
    if result is None or result.status == "blocked":
        prepare.set_aside(folder, checkpoints=provenance.stale(folder, data_root=data_root) is not None)
        return None
    stale = provenance.stale(folder, data_root=data_root) is not None if redo.stale or redo.failed else False
    if redo.everything or (redo.stale and stale):
        prepare.set_aside(folder, checkpoints=True)
        return None
    if redo.failed and result.status == "failed":
        prepare.set_aside(folder, checkpoints=stale)
        return None
    return result


def broken(folder: JobFolder, job: Job) -> Result:
    """The failed row of a job whose outside variant file cannot be used; nothing is started for it."""
    return _publish(
        folder,
        job,
        Result(
            id=job.id,
            attempt=0,
            status="failed",
            failure="variant_error",
            reason=job.broken,
            advice=retry.POLICIES["variant_error"].advice,
        ),
    )


def given_up(folder: JobFolder, job: Job, *, losses: int) -> Result:
    """The failed row of a job whose supervisor was lost again and again."""
    reason = f"{job.name}: its supervisor was lost {losses} times without a new step."
    advice = retry.POLICIES["node_lost"].advice
    result = Result(id=job.id, attempt=0, status="failed", failure="node_lost", reason=reason, advice=advice)
    return _publish(folder, job, result)


def blocked(folder: JobFolder, job: Job, upstream: Result | None) -> Result:
    """The row of a job whose upstream job has left no checkpoint."""
    reason = f"Upstream job {job.upstream} has no result." if upstream is None else _sentence(upstream)
    return _publish_blocked(folder, job, reason)


def _publish_blocked(folder: JobFolder, job: Job, reason: str) -> Result:
    advice = "Mend the upstream job; this one then starts by itself."
    return _publish(folder, job, Result(id=job.id, attempt=0, status="blocked", reason=reason, advice=advice))


def unstarted(job: Job) -> Result:
    """What is returned, and not published, for a job that had no turn before the command was stopped."""
    return Result(
        id=job.id,
        attempt=0,
        status="failed",
        failure="preempted",
        reason=f"{job.name} had not begun.",
        advice=retry.POLICIES["preempted"].advice,
    )


def _publish(folder: JobFolder, job: Job, result: Result) -> Result:
    """A result without a process of its own; it counts as of the newest attempt, if there was one."""
    result = dataclasses.replace(result, attempt=max(folder.attempts(), default=0))
    prepare.spec(folder, job.spec)
    prepare.set_aside(folder, checkpoints=False)
    prepare.clear_half_written(folder)
    result.save(folder.result)
    return result


def _sentence(result: Result) -> str:
    because = f": {result.reason}" if result.reason else "."
    return f"Upstream job {result.id} is {result.status}{because}"


def _priorities(jobs: Sequence[Job], weights: Mapping[str, float]) -> dict[str, float]:
    """Seconds a job is expected to take, and the longest chain of jobs that wait for it; steps where nobody knows."""
    rank: dict[str, float] = {}
    after: dict[str, float] = {}
    for job in reversed(jobs):  # a plan lists an upstream job before those that need it
        rank[job.id] = weights.get(job.id, float(job.spec.steps)) + after.get(job.id, 0.0)
        if job.upstream is not None:
            after[job.upstream] = max(after.get(job.upstream, 0.0), rank[job.id])
    return rank
