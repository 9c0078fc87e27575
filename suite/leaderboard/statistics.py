"""What a few seeds allow one to say: mean, 95% interval, paired difference to the baseline, and a verdict in words.

A verdict is the paired t test's, after Holm's correction for all variants of a setting: of settings with twenty that do
nothing, a quarter would otherwise call one better (`python -m tests.benchmarks.chance`).
"""

import dataclasses
import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from functools import cache

from scipy.special import nctdtrinc, stdtr, stdtrit

CONFIDENCE = 0.95
"""Coverage of every interval on the board."""

POWER = 0.8
"""How often a difference of the smallest detectable size is found."""

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
    p: float | None = None  # of the paired t test, two-sided
    adjusted: float | None = None  # the same after Holm's correction over the setting's variants
    detectable: float | None = None  # the smallest true difference that seeds like these find, see POWER


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
    if difference.sd is None:
        note = "Only one seed is shared with the baseline; an interval needs at least two."
        return Comparison(estimate=difference, verdict="not judged", note=note)
    if difference.sd == 0:
        same = dataclasses.replace(difference, low=None, high=None)
        note = f"The difference is the same on all {len(shared)} shared seeds, so its spread cannot be judged."
        return Comparison(estimate=same, verdict="not judged", note=note)
    p = 2 * float(stdtr(len(shared) - 1, -abs(difference.mean) / (difference.sd / math.sqrt(len(shared)))))
    detectable = difference.sd * detectable_effect(len(shared))
    found = Comparison(estimate=difference, verdict="", note="", p=p, detectable=detectable)
    return _judged(found, better=better, adjusted=p, family=1)


def corrected(comparisons: Sequence[Comparison | None], *, better: str) -> list[Comparison | None]:
    """The comparisons of one setting, judged again after Holm's correction for their number."""
    tested = [one.p for one in comparisons if one is not None and one.p is not None]
    adjusted = iter(holm(tested))
    return [
        one
        if one is None or one.p is None
        else _judged(one, better=better, adjusted=next(adjusted), family=len(tested))
        for one in comparisons
    ]


def holm(p: Sequence[float]) -> list[float]:
    """Holm's step-down correction: p values in the order given, each at least as large as before.

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    order = sorted(range(len(p)), key=lambda index: p[index])
    adjusted, largest = [0.0] * len(p), 0.0
    for place, index in enumerate(order):
        largest = max(largest, min(1.0, (len(p) - place) * p[index]))
        adjusted[index] = largest
    return adjusted


def noise_floor(samples: Iterable[Sequence[float]]) -> float | None:
    """How far a seed alone moves a result: the standard deviation within rows, pooled over them; None without repeats.

    >>> noise_floor([[1.0, 3.0], [5.0], [2.0, 2.0]])
    1.0
    """
    repeated = [values for values in samples if len(values) > 1]
    if not repeated:
        return None
    within = sum(statistics.variance(values) * (len(values) - 1) for values in repeated)
    return math.sqrt(within / sum(len(values) - 1 for values in repeated))


@cache
def detectable_effect(n: int) -> float:
    """The smallest true mean difference, in standard deviations, that a paired t test over n seeds finds; see POWER."""
    critical = stdtrit(n - 1, (1 + CONFIDENCE) / 2)
    return float(nctdtrinc(n - 1, 1 - POWER, critical)) / math.sqrt(n)


def _judged(found: Comparison, *, better: str, adjusted: float, family: int) -> Comparison:
    difference = found.estimate
    assert difference is not None and found.p is not None and found.detectable is not None
    test = f"p = {found.p:.2g} in a paired t test over {difference.n} seeds"
    if family > 1:
        test += f", {adjusted:.2g} after Holm's correction for {family} variants"
    verdict = "not significant"
    if adjusted < 1 - CONFIDENCE:
        verdict = "better" if difference.mean * DIRECTIONS[better] > 0 else "worse"
    says = "Not significant" if verdict == "not significant" else f"{verdict.capitalize()} than the baseline"
    power = f"Without correction, seeds like these find a difference of {found.detectable:.2g} four times out of five."
    return dataclasses.replace(found, verdict=verdict, note=f"{says}: {test}. {power}", adjusted=adjusted)
