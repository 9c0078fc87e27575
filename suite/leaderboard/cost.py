"""What rows took, and what the plan had predicted of it.

    GPU-hours = wall-clock x GPUs; without a GPU, core-hours = wall-clock x processes x threads

Wall-clock is a job's own, over all its attempts but for what was lost with a kill; its processes are those of all
nodes, one on each GPU. Jobs that left no cost, because they were killed or never ran, are in no sum.
"""

import dataclasses
from collections import Counter
from collections.abc import Iterable, Mapping

from suite.leaderboard.rows import Row, Trial


@dataclasses.dataclass(frozen=True, kw_only=True)
class Spent:
    """What one or several jobs took together; 0 hours of what they did not use."""

    jobs: int  # that say what they took
    wall_s: float
    gpu_h: float
    core_h: float
    energy_j: float | None  # of the metered ones
    metered: int  # jobs whose energy is known
    peak_bytes: float | None  # the most that a process held


@dataclasses.dataclass(frozen=True, kw_only=True)
class Foretold:
    """What was predicted of finished jobs, and what the same jobs took."""

    jobs: int
    predicted_s: float
    took_s: float
    origins: Mapping[str, int]  # how many predictions were measured, probed, scaled, guessed


def of_trial(trial: Trial, row: Row) -> Spent | None:
    """None where it does not say how long it took."""
    cost = trial.cost
    if cost.get("wall_s") is None:
        return None
    hours = float(cost["wall_s"]) / 3600 * int(cost.get("processes") or 1)
    on_gpu = (trial.device or "cpu") != "cpu"
    energy_j, peak_bytes = cost.get("energy_j"), cost.get("peak_bytes")
    return Spent(
        jobs=1,
        wall_s=float(cost["wall_s"]),
        gpu_h=hours if on_gpu else 0.0,
        core_h=0.0 if on_gpu else hours * int(row.setting.get("threads") or 1),
        energy_j=None if energy_j is None else float(energy_j),
        metered=energy_j is not None,
        peak_bytes=None if peak_bytes is None else float(peak_bytes),
    )


def spent(rows: Iterable[Row]) -> Spent | None:
    """The sum over all their jobs, with the largest of their peaks; None where none says how long it took."""
    known = [found for row in rows for trial in row.trials if (found := of_trial(trial, row))]
    if not known:
        return None
    return Spent(
        jobs=len(known),
        wall_s=sum(one.wall_s for one in known),
        gpu_h=sum(one.gpu_h for one in known),
        core_h=sum(one.core_h for one in known),
        energy_j=sum(one.energy_j or 0.0 for one in known) if any(one.metered for one in known) else None,
        metered=sum(one.metered for one in known),
        peak_bytes=max((one.peak_bytes for one in known if one.peak_bytes is not None), default=None),
    )


def foretold(rows: Iterable[Row]) -> Foretold | None:
    """The sums over finished jobs of which a prediction was kept; None where there is none."""
    pairs = [
        (trial.predicted, float(trial.cost["wall_s"]))
        for row in rows
        for trial in row.trials
        if trial.status == "ok" and trial.predicted and trial.cost.get("wall_s") is not None
    ]
    if not pairs:
        return None
    return Foretold(
        jobs=len(pairs),
        predicted_s=sum(predicted.wall_s for predicted, _ in pairs),
        took_s=sum(wall_s for _, wall_s in pairs),
        origins=dict(sorted(Counter(predicted.origin for predicted, _ in pairs).items())),
    )
