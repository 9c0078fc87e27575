"""What rows took and what was predicted: hours worked by hand from the files of the fixture."""

import dataclasses

import pytest

from suite.leaderboard import cost, wording
from suite.leaderboard.board import Board
from suite.leaderboard.rows import Row
from suite.planning.manifest import Prediction


def row(board: Board, task: str, variant: str) -> Row:
    return next(entry.row for entry in board.entries() if (entry.row.task, entry.row.variant) == (task, variant))


def test_a_cpu_jobs_hours_are_of_cores_and_all_its_threads_count(board: Board):
    one = row(board, "classification", "softmax")  # two seeds of 60 steps of 0.6 s and 3 s more
    found = cost.spent([one])
    assert found is not None
    assert (found.jobs, found.gpu_h, found.energy_j, found.peak_bytes) == (2, 0.0, None, 412e6)
    assert found.core_h == pytest.approx(2 * 39 / 3600)
    threaded = cost.spent([dataclasses.replace(one, setting={**one.setting, "threads": 4})])
    assert threaded is not None and threaded.core_h == pytest.approx(4 * found.core_h)


def test_gpu_hours_are_wall_clock_times_gpus(board: Board):
    found = cost.spent([row(board, "language", "softmax")])  # on two GPUs, 60 steps of 0.4 s and 3 s more
    assert found is not None
    assert found.gpu_h == pytest.approx(2 * 2 * 27 / 3600)
    assert (found.core_h, found.energy_j, found.metered) == (0.0, 18_000.0, 2)
    assert wording.compute(found) == "0.03 GPU-h"


def test_jobs_that_left_no_cost_are_in_no_sum(board: Board):
    found = cost.spent([row(board, "classification", "attnscale")])
    assert found is not None and found.jobs == 1  # the other one failed
    assert cost.spent([row(board, "segmentation", "featscale")]) is None
    assert wording.compute(None) == "–"


def test_a_prediction_is_held_against_the_same_jobs(board: Board):
    one = row(board, "classification", "attnscale")
    found = cost.foretold([one])
    assert found is not None and found.jobs == 1  # a failed job says nothing of how long it would have taken
    assert found.predicted_s == pytest.approx(1.1 * 39)
    assert found.took_s == one.trials[0].cost["wall_s"]
    assert cost.foretold([row(board, "segmentation", "softmax")]) is None


def test_predictions_are_told_with_where_they_come_from(board: Board):
    one = row(board, "classification", "softmax")
    known = (Prediction(wall_s=3600.0, origin="guessed"), Prediction(wall_s=1800.0, origin="measured"))
    pairs = zip(one.trials, known, strict=True)
    trials = tuple(dataclasses.replace(trial, predicted=predicted) for trial, predicted in pairs)
    says = wording.foretold(cost.foretold([dataclasses.replace(one, trials=trials)]))
    assert says == "predicted 1.5 h, took 1.3 min (2 jobs: 1 guessed, 1 measured)"
    assert wording.foretold(None) == ""
