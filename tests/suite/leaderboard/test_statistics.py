import math

import pytest
from scipy import stats

from suite.leaderboard.statistics import compare, estimate


def test_an_estimate_worked_by_hand():
    # 70, 72, 74: mean 72, deviations -2, 0, 2, variance 8 / 2, t(2 degrees, 97.5%) = 4.302653
    got = estimate([70.0, 72.0, 74.0])
    assert got is not None
    assert (got.n, got.mean, got.sd) == (3, 72.0, 2.0)
    assert got.low == pytest.approx(72 - 4.302653 * 2 / math.sqrt(3), abs=1e-5)
    assert got.high == pytest.approx(72 + 4.302653 * 2 / math.sqrt(3), abs=1e-5)


def test_the_interval_of_the_paired_difference_is_scipys():
    variant, baseline = {0: 81.2, 1: 80.4, 2: 82.9, 3: 81.0}, {0: 80.1, 1: 80.2, 2: 81.0, 3: 80.3}
    interval = stats.ttest_rel(list(variant.values()), list(baseline.values())).confidence_interval(0.95)
    got = compare(variant, baseline=baseline, better="higher").estimate
    assert got is not None
    assert (got.low, got.high) == pytest.approx((interval.low, interval.high), rel=1e-9)


def test_only_shared_seeds_are_paired():
    got = compare({0: 2.0, 1: 3.0, 7: 99.0}, baseline={0: 1.0, 1: 1.5, 5: -99.0}, better="higher").estimate
    assert got is not None
    assert (got.n, got.mean) == (2, 1.25)


@pytest.mark.parametrize(("better", "verdict"), [("higher", "worse"), ("lower", "better")])
def test_a_lower_number_is_better_only_where_lower_is_better(better: str, verdict: str):
    got = compare({0: 10.0, 1: 10.1, 2: 9.9}, baseline={0: 20.0, 1: 20.3, 2: 19.8}, better=better)
    assert got.verdict == verdict


def test_an_interval_around_zero_is_called_not_significant():
    got = compare({0: 70.0, 1: 75.0, 2: 71.0}, baseline={0: 71.0, 1: 70.0, 2: 72.0}, better="higher")
    assert got.verdict == "not significant"
    assert got.note.startswith("Not significant: the 95% interval of the paired difference over 3 seeds contains zero")


def test_one_shared_seed_gives_a_difference_without_an_interval():
    got = compare({0: 71.0, 1: 70.0}, baseline={0: 70.0}, better="higher")
    assert got.verdict == "not judged"
    assert got.estimate is not None
    assert (got.estimate.mean, got.estimate.low) == (1.0, None)
    assert got.note == "Only one seed is shared with the baseline; an interval needs at least two."


def test_no_shared_seed_gives_no_difference():
    got = compare({0: 71.0}, baseline={1: 70.0}, better="higher")
    assert (got.estimate, got.verdict) == (None, "not judged")


def test_differences_without_any_spread_are_not_called_certain():
    got = compare({0: 71.0, 1: 72.0}, baseline={0: 70.0, 1: 71.0}, better="higher")
    assert got.verdict == "not judged"
    assert got.estimate is not None
    assert (got.estimate.mean, got.estimate.low) == (1.0, None)


def test_no_value_gives_no_estimate_and_one_value_gives_no_interval():
    assert estimate([]) is None
    one = estimate([3.5])
    assert one is not None
    assert (one.mean, one.sd, one.half_width) == (3.5, None, None)
