import dataclasses
import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from suite.leaderboard.aggregate import TAU, Standing, front, standings
from suite.leaderboard.board import Board


def standing(*ratios: float) -> Standing:
    return Standing(name="v", variant="v", ratios=ratios, verdicts=())


def test_a_profile_and_its_area_worked_by_hand():
    # within 1: one of four; within 1.25: two; the others are beaten. Area: 1 for the first, half of it for the second.
    found = standing(1.0, 1.25, 2.0, math.inf)
    assert found.profile() == [(1.0, 0.25), (1.25, 0.5), (TAU, 0.5)]
    assert found.score == pytest.approx((1 + 0.5) / 4)
    assert found.settings == 3


@given(st.lists(st.floats(1, 3) | st.just(math.inf), min_size=1, max_size=12))
def test_the_score_is_the_area_below_the_profile(ratios: list[float]):
    found = standing(*ratios)
    corners = found.profile()
    area = sum((after - tau) * share for (tau, share), (after, _) in pairwise(corners))
    assert found.score == pytest.approx(area / (TAU - 1), abs=1e-9)
    assert 0 <= found.score <= 1


def test_the_ratio_is_to_the_best_mean_and_infinite_where_there_is_no_number(board: Board):
    found = {one.name: one for one in standings(board)}
    settings = [setting for task in board.tasks for setting in task.settings]
    for index, setting in enumerate(settings):
        means = {name: entry.estimate.mean for name, entry in setting.by_name().items() if entry.estimate}
        higher = setting.entries[0].row.metric.better == "higher"
        best = (max if higher else min)(means.values())
        for name, one in found.items():
            mean = means.get(name)
            expected = math.inf if mean is None else best / mean if higher else mean / best
            assert one.ratios[index] == pytest.approx(expected)
    scores = [one.score for one in standings(board)]
    assert scores == sorted(scores, reverse=True)


def test_what_is_best_everywhere_has_the_score_1(board: Board):
    tasks = tuple(
        dataclasses.replace(task, settings=tuple(dataclasses.replace(s, entries=s.entries[:1]) for s in task.settings))
        for task in board.tasks
    )
    (alone,) = standings(dataclasses.replace(board, tasks=tasks))
    assert (alone.name, alone.score) == ("softmax", 1.0)


@pytest.mark.parametrize(
    ("better", "expected"), [("higher", [True, True, False, False]), ("lower", [True, False, False, False])]
)
def test_the_front_holds_what_nothing_beats_in_cost_and_quality(better: str, expected: list[bool]):
    assert front([(1.0, 70.0), (2.0, 80.0), (2.0, 75.0), (3.0, 80.0)], better=better) == expected


def test_equal_points_are_on_the_front_together():
    assert front([(1.0, 5.0), (1.0, 5.0)], better="higher") == [True, True]
