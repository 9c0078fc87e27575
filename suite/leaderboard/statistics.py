"""What a few seeds allow one to say: mean, 95% interval, paired difference to the baseline, and a verdict in words."""

import dataclasses
import math
import statistics
from collections.abc import Mapping, Sequence

from scipy.special import stdtrit

CONFIDENCE = 0.95
"""Coverage of every interval on the board."""

SEEDS_TO_RANK = 3
"""Rows with fewer finished seeds are shown and not ranked."""

DIRECTIONS = {"higher": 1.0, "lower": -1.0}
"""What `better` may be, and the sign that makes a gain positive."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Estimate:
    """Mean over n values; the interval needs two of them."""

    n: int
    mean: float
    sd: float | None = None  # sample standard deviation (n - 1)
    low: float | None = None
    high: float | None = None

    @property
    def half_width(self) -> float | None:
        return None if self.low is None else self.mean - self.low


@dataclasses.dataclass(frozen=True, kw_only=True)
class Comparison:
    """A variant against the baseline on the seeds that both finished; `verdict` is one of VERDICTS."""

    estimate: Estimate | None  # of variant minus baseline, in the metric's own direction and unit
    verdict: str
    note: str  # the verdict as a sentence


VERDICTS = ("better", "worse", "not significant", "not judged")


def estimate(values: Sequence[float]) -> Estimate | None:
    """Mean, sample standard deviation and Student's t interval; None where there is no value."""
    if not values:
        return None
    n, mean = len(values), statistics.fmean(values)
    if n < 2:
        return Estimate(n=n, mean=mean)
    sd = statistics.stdev(values)
    half_width = float(stdtrit(n - 1, (1 + CONFIDENCE) / 2)) * sd / math.sqrt(n)
    return Estimate(n=n, mean=mean, sd=sd, low=mean - half_width, high=mean + half_width)


def compare(variant: Mapping[int, float], *, baseline: Mapping[int, float], better: str) -> Comparison:
    """Paired difference over the seeds in both mappings (seed -> value).

    Args:
        better: "higher" or "lower": which way the metric improves.
    """
    shared = sorted(set(variant) & set(baseline))
    difference = estimate([variant[seed] - baseline[seed] for seed in shared])
    if difference is None:
        return Comparison(estimate=None, verdict="not judged", note="No seed is shared with the baseline.")
    if difference.low is None or difference.high is None:
        note = "Only one seed is shared with the baseline; an interval needs at least two."
        return Comparison(estimate=difference, verdict="not judged", note=note)
    if difference.sd == 0:
        same = dataclasses.replace(difference, low=None, high=None)
        note = f"The difference is the same on all {len(shared)} shared seeds, so its spread cannot be judged."
        return Comparison(estimate=same, verdict="not judged", note=note)
    return Comparison(estimate=difference, **_verdict(difference.low, difference.high, DIRECTIONS[better], len(shared)))


def _verdict(low: float, high: float, sign: float, seeds: int) -> dict[str, str]:
    interval = f"the 95% interval of the paired difference over {seeds} seeds"
    if low <= 0 <= high:
        return {"verdict": "not significant", "note": f"Not significant: {interval} contains zero."}
    verdict = "better" if low * sign > 0 else "worse"
    return {"verdict": verdict, "note": f"{verdict.capitalize()} than the baseline: {interval} excludes zero."}
