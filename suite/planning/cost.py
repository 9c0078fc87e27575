"""What a plan will take, before anything is spent: hours, wall-clock, disk; measured where the runs folder can tell.

A job's time is taken from finished jobs of the same setting and variant, else of the same setting, else it is
scaled by steps from the same task and data, else it is a guess from `GUESSES`. The report says which.
"""

import dataclasses
import heapq
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from jobs.contract import ContractError, JobFolder, JobSpec, Result, canonical
from suite.planning.plan import Job

START_S = 15.0
"""Guess at what a job spends besides training: importing frameworks, building, evaluating [s]."""

GUESSES: Mapping[str, float] = {"graph": 0.02, "language": 0.15, "classification": 0.15, "segmentation": 0.3}
"""Rough seconds a training step takes on one CPU core with embedded data and the tasks' default sizes."""

OTHER_STEP_S = 0.3
"""The same for tasks that are not in the table [s]."""

GUESSED_BYTES = 30 * 10**6
"""Guess at what a small model's folder takes on disk."""

_COPIES = 4 * 3 * 4
"""Bytes on disk per parameter: four checkpoints, each with the weights and Adam's two moments in float32."""


@dataclasses.dataclass(frozen=True)
class Past:
    """A finished job."""

    spec: JobSpec
    result: Result


@dataclasses.dataclass(frozen=True)
class Guess:
    """What one job will take."""

    seconds: float
    disk_bytes: float
    origin: str  # "measured", "scaled" or "guessed"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Estimate:
    """What a list of jobs will take."""

    jobs: int
    core_h: float
    gpu_h: float
    disk_bytes: float
    wall_s: Mapping[int, float]  # by number of jobs at the same time
    origins: Mapping[str, int]  # how many jobs were measured, scaled, guessed


def read_past(runs: Path) -> list[Past]:
    """The jobs in `runs` that ended well; folders that cannot be read teach nothing and are passed over."""
    found = []
    for path in runs.glob("*/result.json"):
        try:
            past = Past(JobSpec.load(path.parent / "spec.json"), Result.load(JobFolder(path.parent).result))
        except ContractError:
            continue
        if past.result.status == "ok" and past.result.cost.get("wall_s"):
            found.append(past)
    return found


def guess_all(jobs: Sequence[Job], past: Sequence[Past]) -> dict[str, Guess]:
    """What each job will take, by id."""
    known = _Knowledge(past)
    return {job.id: known.guess(job.spec) for job in jobs}


def estimate(
    jobs: Sequence[Job], guesses: Mapping[str, Guess], *, at_once: Iterable[int], processes: int = 1, gpus: int = 0
) -> Estimate:
    """Add up `jobs`, each on `gpus` GPUs or else on `processes` times its threads of CPU cores.

    Args:
        jobs: what is left to do, each after the one it starts from.
        guesses: by job id.
        at_once: numbers of simultaneous jobs to give the wall-clock for.
        processes: per job on CPU.
        gpus: per job.
    """
    mine = [guesses[job.id] for job in jobs]
    seconds = sum(guess.seconds for guess in mine)
    core_s = sum(guess.seconds * job.spec.threads * max(processes, gpus) for guess, job in zip(mine, jobs, strict=True))
    origins = [guess.origin for guess in mine]
    return Estimate(
        jobs=len(jobs),
        core_h=0.0 if gpus else core_s / 3600,
        gpu_h=seconds * gpus / 3600,
        disk_bytes=sum(guess.disk_bytes for guess in mine),
        wall_s={slots: wall_s(jobs, guesses, slots) for slots in at_once},
        origins={origin: origins.count(origin) for origin in ("measured", "scaled", "guessed") if origin in origins},
    )


def wall_s(jobs: Sequence[Job], guesses: Mapping[str, Guess], slots: int) -> float:
    """Seconds until the last of `jobs` ends if `slots` run at the same time, longest chain first."""
    rest = _chains(jobs, guesses)
    waiting: dict[str | None, list[Job]] = {}
    ids = {job.id for job in jobs}
    for job in jobs:
        waiting.setdefault(job.upstream if job.upstream in ids else None, []).append(job)
    ready = [(-rest[job.id], job.id) for job in waiting.pop(None, [])]
    heapq.heapify(ready)
    running: list[tuple[float, str]] = []
    now = 0.0
    while ready or running:
        while ready and len(running) < slots:
            job_id = heapq.heappop(ready)[1]
            heapq.heappush(running, (now + guesses[job_id].seconds, job_id))
        now, ended = heapq.heappop(running)
        for job in waiting.pop(ended, []):
            heapq.heappush(ready, (-rest[job.id], job.id))
    return now


def _chains(jobs: Sequence[Job], guesses: Mapping[str, Guess]) -> dict[str, float]:
    """By id, seconds of a job and the longest chain that waits for it."""
    after: dict[str, float] = {}
    rest: dict[str, float] = {}
    for job in reversed(jobs):
        rest[job.id] = guesses[job.id].seconds + after.get(job.id, 0.0)
        if job.upstream:
            after[job.upstream] = max(after.get(job.upstream, 0.0), rest[job.id])
    return rest


class _Knowledge:
    """Finished jobs, grouped by how much they have in common with a job to come."""

    def __init__(self, past: Sequence[Past]) -> None:
        self._same: dict[Any, list[Past]] = {}
        for one in past:
            for key in _keys(one.spec):
                self._same.setdefault(key, []).append(one)

    def guess(self, spec: JobSpec) -> Guess:
        variant, setting, data = _keys(spec)
        if found := self._same.get(variant) or self._same.get(setting):
            return Guess(median(float(past.result.cost["wall_s"]) for past in found), _disk(found), "measured")
        if found := self._same.get(data):
            return Guess(median(_scaled_s(past, spec.steps) for past in found), _disk(found), "scaled")
        return Guess(START_S + spec.steps * GUESSES.get(spec.task, OTHER_STEP_S), GUESSED_BYTES, "guessed")


def _keys(spec: JobSpec) -> tuple[Any, Any, Any]:
    setting = canonical(spec.setting())
    return (setting, spec.variant, canonical(spec.variant_arguments)), setting, (spec.task, spec.data)


def _scaled_s(past: Past, steps: int) -> float:
    """A past job's time with another number of steps."""
    cost = past.result.cost
    train_s = float(cost.get("train_s") or 0.0)
    return float(cost["wall_s"]) - train_s + train_s * steps / past.spec.steps


def _disk(found: Sequence[Past]) -> float:
    sizes = [float(past.result.cost["parameters"]) * _COPIES for past in found if past.result.cost.get("parameters")]
    return median(sizes) if sizes else GUESSED_BYTES
