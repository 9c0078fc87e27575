import math
import statistics

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import TTestPower

from suite.leaderboard.statistics import compare, corrected, detectable_effect, estimate, holm, noise_floor
from tests.benchmarks.chance import shares


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
    assert got.note.startswith("Not significant: p = 0.67 in a paired t test over 3 seeds.")


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


def test_a_paired_test_worked_by_hand():
    # differences 1, 2, 3: mean 2, deviation 1, t = 2 sqrt 3 = 3.4641; two degrees: p = 1 - t / sqrt(t^2 + 2)
    got = compare({0: 11.0, 1: 13.0, 2: 14.0}, baseline={0: 10.0, 1: 11.0, 2: 11.0}, better="higher")
    t = 2 * math.sqrt(3)
    assert got.p == pytest.approx(1 - t / math.sqrt(t * t + 2))
    assert got.verdict == "not significant"
    assert got.adjusted == got.p


def test_the_paired_test_is_scipys():
    variant, baseline = {0: 81.2, 1: 80.4, 2: 82.9, 3: 81.0}, {0: 80.1, 1: 80.2, 2: 81.0, 3: 80.3}
    expected = stats.ttest_rel(list(variant.values()), list(baseline.values())).pvalue
    assert compare(variant, baseline=baseline, better="higher").p == pytest.approx(expected, rel=1e-9)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=25))
def test_holms_correction_is_statsmodels(p: list[float]):
    found = holm(p)
    assert found == pytest.approx(multipletests(p, method="holm")[1].tolist())
    assert all(after >= before for after, before in zip(found, p, strict=True))


@pytest.mark.parametrize("n", [3, 5, 10])
def test_the_smallest_detectable_difference_is_statsmodels(n: int):
    expected = TTestPower().solve_power(nobs=n, alpha=0.05, power=0.8)
    assert detectable_effect(n) == pytest.approx(expected, rel=1e-3)


def test_among_many_variants_one_lucky_difference_is_not_called_better():
    baseline = {seed: 70.0 for seed in range(5)}
    lucky = {seed: 70 + gain for seed, gain in enumerate([1.0, 0.4, 0.9, 0.2, 1.1])}
    alone = compare(lucky, baseline=baseline, better="higher")
    assert alone.verdict == "better"
    others = [
        compare({seed: 70 + noise for seed, noise in enumerate(draw)}, baseline=baseline, better="higher")
        for draw in numpy.random.default_rng(0).normal(size=(19, 5)).tolist()
    ]
    judged = corrected([None, alone, *others], better="higher")
    assert judged[0] is None and judged[1] is not None and judged[1].p == alone.p
    assert judged[1].verdict == "not significant"
    assert "after Holm's correction for 20 variants" in judged[1].note


def test_what_is_not_judged_stays_so_and_does_not_count():
    single = compare({0: 1.0}, baseline={0: 2.0}, better="higher")
    clear = compare({0: 71.0, 1: 71.1, 2: 70.9}, baseline={0: 60.0, 1: 60.0, 2: 60.0}, better="higher")
    assert corrected([single, clear], better="higher") == [single, clear]


def test_variants_that_do_nothing_are_seldom_called_better():
    found, uncorrected = shares(seeds=3, simulations=400)
    assert found <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 400)
    assert uncorrected > 0.15


@given(st.lists(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=5), min_size=1, max_size=5))
def test_the_noise_floor_is_the_pooled_deviation_and_ignores_the_rows_means(samples: list[list[float]]):
    floor = noise_floor(samples)
    if max(map(len, samples)) == 1:
        assert floor is None
        return
    assert floor == pytest.approx(noise_floor([[x + 7.0 for x in row] for row in samples]), abs=1e-6)
    residuals = [x - statistics.fmean(row) for row in samples for x in row]
    freedom = len(residuals) - len(samples)
    assert floor == pytest.approx(math.sqrt(sum(x * x for x in residuals) / freedom), abs=1e-6)
