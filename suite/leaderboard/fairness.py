"""What a variant costs beyond its baseline: a gain that was bought with parameters, time or memory says so.

Ratios are of what two jobs of one seed took on the same device; a quantity is `over` where it exceeds the baseline's
by more than a tenth on every such seed. Time counts where a device is one job's alone, on GPUs: jobs share the cores
of a CPU, where the seeds of one row differed by up to 2.4 times.
"""

import dataclasses
from collections.abc import Mapping
from statistics import fmean

from suite.leaderboard.rows import Row, Trial

MOST = 1.10
"""Times the baseline's, beyond which a row is marked."""

QUANTITIES = {
    "parameters": "parameters",
    "step_flops": "operations",
    "step_s": "step time",
    "peak_bytes": "memory",
}
"""What is compared, as results name it, in words."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Ledger:
    """A row's means over seeds, as multiples of the baseline's; None where no seed states it of both."""

    parameters: float | None
    step_flops: float | None  # floating-point operations of matrix products
    step_s: float | None
    peak_bytes: float | None
    over: tuple[str, ...]  # the quantities that exceed the baseline's by more than a tenth, for certain


def ledger(row: Row, baseline: Row | None) -> Ledger | None:
    """None without a baseline to hold it against."""
    if baseline is None:
        return None
    ratios = {name: _ratios(row.finished(), baseline.finished(), name) for name in QUANTITIES}
    shared = any(trial.device == "cpu" for trial in row.finished().values())
    return Ledger(
        **{name: fmean(found) if found else None for name, found in ratios.items()},
        over=tuple(
            name for name, found in ratios.items() if found and min(found) > MOST and not (shared and name == "step_s")
        ),
    )


def _ratios(own: Mapping[int, Trial], reference: Mapping[int, Trial], name: str) -> list[float]:
    return [
        float(trial.cost[name]) / float(reference[seed].cost[name])
        for seed, trial in own.items()
        if seed in reference
        and trial.device == reference[seed].device
        and trial.cost.get(name) is not None
        and reference[seed].cost.get(name)
    ]
