"""What a plan will take, before anything is spent: hours, wall-clock, disk, memory.

A job's time is measured (finished jobs of the same setting and variant, else of the same setting), else probed (a few
steps of the setting on this machine), else scaled by steps from the same task and data, else guessed. The report says
which. Jobs that stop early take less.
"""

import dataclasses
import heapq
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from jobs.contract import ContractError, JobFolder, JobSpec, Result, canonical
from suite.planning import guesses as guessing
from suite.planning import pace
from suite.planning.pace import Pace, Setup
from suite.planning.plan import Job

ORIGINS = ("measured", "probed", "scaled", "guessed")
"""Where a job's time comes from, the best first."""

Paces = Mapping[tuple[bytes, bytes], Pace]
"""Probes by place and variant."""

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
    origin: str  # one of ORIGINS
    peak_bytes: float | None = None  # of one process, where it is known


@dataclasses.dataclass(frozen=True, kw_only=True)
class Estimate:
    """What a list of jobs will take."""

    jobs: int
    core_h: float
    gpu_h: float
    disk_bytes: float
    wall_s: Mapping[int, float]  # by number of jobs at the same time
    origins: Mapping[str, int]  # how many jobs were measured, probed, scaled, guessed
    peak_bytes: float | None  # the largest that is known of a process


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


def guess_all(
    jobs: Sequence[Job], past: Sequence[Past], setup: Setup | None = None, paces: Paces | None = None
) -> dict[str, Guess]:
    """What each job will take, by id.

    Args:
        jobs: the jobs.
        past: finished jobs.
        setup: how the jobs will be run; one CPU process each where it is not given.
        paces: probes made under this setup.
    """
    known = _Knowledge(past, setup or Setup(), paces or {})
    return {job.id: known.guess(job.spec) for job in jobs}


def estimate(
    jobs: Sequence[Job],
    guesses: Mapping[str, Guess],
    *,
    at_once: Iterable[int],
    processes: int = 1,
    gpus: int = 0,
    nodes: int = 1,
) -> Estimate:
    """Add up `jobs`, each on `gpus` GPUs or else on `processes` times its threads of CPU cores.

    Args:
        jobs: what is left to do, each after the one it starts from.
        guesses: by job id.
        at_once: numbers of simultaneous jobs to give the wall-clock for.
        processes: per node on CPU.
        gpus: per node.
        nodes: per job. An entry may say otherwise for its own jobs.
    """
    mine = [guesses[job.id] for job in jobs]
    used = [job.devices(gpus=gpus, processes=processes, nodes=nodes) for job in jobs]
    gpu_s = sum(guess.seconds * count for guess, (count, _) in zip(mine, used, strict=True))
    core_s = sum(
        guess.seconds * job.spec.threads * count for guess, job, (_, count) in zip(mine, jobs, used, strict=True)
    )
    origins = [guess.origin for guess in mine]
    return Estimate(
        jobs=len(jobs),
        core_h=core_s / 3600,
        gpu_h=gpu_s / 3600,
        disk_bytes=sum(guess.disk_bytes for guess in mine),
        wall_s={slots: wall_s(jobs, guesses, slots) for slots in at_once},
        origins={origin: origins.count(origin) for origin in ORIGINS if origin in origins},
        peak_bytes=max((guess.peak_bytes for guess in mine if guess.peak_bytes), default=None),
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
    """Finished jobs and probes, grouped by how much they have in common with a job to come."""

    def __init__(self, past: Sequence[Past], setup: Setup, paces: Paces) -> None:
        self._setup, self._paces = setup, paces
        self._same: dict[Any, list[Past]] = {}
        for one in past:
            if _alike(one, setup):
                for key in _keys(one.spec):
                    self._same.setdefault(key, []).append(one)
        self._of_place: dict[bytes, Pace] = {}
        for (place, _), found in paces.items():
            self._of_place.setdefault(place, found)

    def guess(self, spec: JobSpec) -> Guess:
        variant, setting, data = _keys(spec)
        if found := self._same.get(variant) or self._same.get(setting):
            return _of_past([float(past.result.cost["wall_s"]) for past in found], found, "measured")
        if (probed := self._probed(spec)) is not None:
            return _of_pace(probed.completed(guessing.pace(spec, self._setup)), spec, "probed")
        if found := self._same.get(data):
            return _of_past([_scaled_s(past, spec, self._setup) for past in found], found, "scaled")
        return _of_pace(guessing.pace(spec, self._setup), spec, "guessed")

    def _probed(self, spec: JobSpec) -> Pace | None:
        """Of the same variant, else of another one in the same place."""
        if not self._paces:
            return None
        place = pace.place(spec)
        return self._paces.get((place, pace.variant(spec))) or self._of_place.get(place)


def _alike(past: Past, setup: Setup) -> bool:
    """Whether a finished job had as many processes and the same kind of device, as far as it says."""
    cost = past.result.cost
    devices = setup.gpus or setup.processes
    on_gpu = cost.get("device", "cpu") != "cpu" if "device" in cost else bool(setup.gpus)
    return on_gpu == bool(setup.gpus) and int(cost.get("processes", devices)) == devices


def _keys(spec: JobSpec) -> tuple[Any, Any, Any]:
    setting = canonical(spec.setting())
    return (setting, spec.variant, canonical(spec.variant_arguments)), setting, (spec.task, spec.data)


def _scaled_s(past: Past, spec: JobSpec, setup: Setup) -> float:
    """A past job's time, its training scaled by the steps and by what a step is guessed to take there and here."""
    cost = past.result.cost
    train_s = float(cost.get("train_s") or 0.0)
    there, here = (guessing.pace(one, setup).step_s * one.steps for one in (past.spec, spec))
    return float(cost["wall_s"]) - train_s + train_s * here / there


def _of_past(seconds: Sequence[float], found: Sequence[Past], origin: str) -> Guess:
    costs = [past.result.cost for past in found]
    sizes = [float(cost["parameters"]) for cost in costs if cost.get("parameters")]
    peaks = [float(cost["peak_bytes"]) for cost in costs if cost.get("peak_bytes")]
    disk_bytes = _COPIES * (median(sizes) if sizes else guessing.PARAMETERS)
    return Guess(median(seconds), disk_bytes, origin, max(peaks, default=None) if origin == "measured" else None)


def _of_pace(found: Pace, spec: JobSpec, origin: str) -> Guess:
    disk_bytes = _COPIES * (found.parameters or guessing.PARAMETERS)
    return Guess(found.seconds(spec.steps), disk_bytes, origin, found.peak_bytes)
