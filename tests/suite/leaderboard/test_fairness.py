"""A row's cost beside its baseline's: by hand, on shared seeds and devices, marked only where every seed says so."""

import dataclasses
from typing import Any

import pytest

from suite.leaderboard import wording
from suite.leaderboard.board import Board, Entry
from suite.leaderboard.fairness import ledger
from suite.leaderboard.page import render
from suite.leaderboard.rows import Metric, Row, Trial
from suite.leaderboard.tables import markdown

GPU = "NVIDIA H100 80GB HBM3"
METRIC = Metric(name="accuracy", unit="%", better="higher")


def row(*costs: dict[str, Any], variant: str = "neutreno", device: str = "cpu") -> Row:
    trials = [
        Trial(id=f"{variant}{seed}", seed=seed, status="ok", value=50.0, cost=cost, device=device)
        for seed, cost in enumerate(costs)
    ]
    shown: dict[str, Any] = {"key": variant, "label": "graph", "setting": {"task": "graph"}, "arguments": {}}
    return Row(**shown, variant=variant, name=variant, metric=METRIC, trials=tuple(trials))


def entry(board: Board, task: str, variant: str) -> Entry:
    return next(one for one in board.entries() if (one.row.task, one.row.variant) == (task, variant))


def test_the_ledger_is_the_mean_of_the_ratios_on_shared_seeds():
    own, base = ({"parameters": 120, "step_s": 3.0}, {"parameters": 120, "step_s": 2.0}), {"parameters": 100}
    baseline = row(base | {"step_s": 1.0}, base | {"step_s": 2.0}, variant="softmax", device=GPU)
    found = ledger(row(*own, {"parameters": 1}, device=GPU), baseline)
    assert found is not None
    assert (found.parameters, found.step_s, found.peak_bytes) == (pytest.approx(1.2), pytest.approx(2.0), None)
    assert found.over == ("parameters",)  # a step was slower on one of the two seeds alone


def test_a_tenth_more_is_not_yet_marked():
    baseline = row({"step_s": 1.0, "peak_bytes": 10}, variant="softmax", device=GPU)
    kept = ledger(row({"step_s": 1.1, "peak_bytes": 9}, device=GPU), baseline)
    exceeded = ledger(row({"step_s": 1.11, "peak_bytes": 10}, device=GPU), baseline)
    assert kept is not None and exceeded is not None
    assert (kept.over, exceeded.over) == ((), ("step_s",))


def test_time_on_a_cpu_which_jobs_share_is_shown_and_not_marked():
    baseline = row({"step_s": 1.0, "step_flops": 10, "peak_bytes": 10}, variant="softmax")
    found = ledger(row({"step_s": 3.0, "step_flops": 12, "peak_bytes": 12}), baseline)
    assert found is not None
    assert (found.step_s, found.over) == (3.0, ("step_flops", "peak_bytes"))


def test_times_on_different_devices_are_not_compared():
    found = ledger(row({"step_s": 9.0}), row({"step_s": 1.0}, variant="softmax", device=GPU))
    assert found is not None and (found.step_s, found.over) == (None, ())


def test_without_a_baseline_there_is_nothing_to_exceed():
    assert ledger(row({"step_s": 9.0}), None) is None
    assert wording.ledger(None) == ""


def test_the_baseline_is_once_itself_and_a_failed_trial_counts_for_nothing(board: Board):
    softmax, attnscale = entry(board, "classification", "softmax"), entry(board, "classification", "attnscale")
    assert softmax.ledger is not None and softmax.ledger.step_s == 1.0
    assert attnscale.ledger == dataclasses.replace(softmax.ledger, step_s=pytest.approx(1.01))


def test_what_exceeds_is_said_on_the_page_and_in_the_tables(board: Board):
    dear = entry(board, "language", "value_residual")
    says = "More than 1.10× the baseline's: parameters 1.20×."
    assert wording.costlier(dear) == says
    assert wording.traits(dear)[-1] == "costlier"
    assert wording.costlier(entry(board, "language", "neutreno")) == ""
    assert f"- value_residual[l1=0.5,l2=0.5]: {says}\n" in markdown(board)
    page = render(board)
    assert '<td class="number wide mark" data-value="1.199999' in page
    assert "parameters 1.20\\u00d7, step time 1.04\\u00d7, memory 1.00\\u00d7 the baseline" in page
    assert '<option value="costlier">' in page
