import dataclasses
import html
import json
from pathlib import Path

import pytest

from suite.leaderboard import board as board_module
from suite.leaderboard.board import Board, build
from suite.leaderboard.page import render
from suite.leaderboard.published import Published
from suite.leaderboard.tables import comma_separated, document, markdown
from suite.planning.manifest import Manifest
from tests.suite.board_fixture import write_runs


def test_the_headline_says_what_was_compared_and_how_it_ended(board: Board):
    assert board.headline == (
        "6 variants compared in 4 tasks (5 settings) on 2 seeds: "
        "60 jobs, 54 finished, 1 failed, 2 blocked, 2 skipped, 1 pending."
    )


def test_the_baseline_comes_first_and_the_largest_gain_after_it(ranked: Board):
    for task in ranked.tasks:
        sign = {"higher": 1, "lower": -1}[task.metric.better]
        for setting in task.settings:
            first, *others = setting.entries
            assert first.row.is_baseline
            gains = [sign * e.comparison.estimate.mean for e in others if e.comparison and e.comparison.estimate]
            assert gains == sorted(gains, reverse=True)
            assert len(gains) >= 4


def test_development_results_are_never_ranked(board: Board):
    assert {entry.rank for entry in board.entries()} == {None}
    reasons = {entry.unranked for entry in board.entries() if not entry.row.is_baseline}
    assert reasons == {"Results of the development tier are shown and not ranked."}


def test_ranks_need_three_shared_seeds(ranked: Board):
    entries = {entry.row.variant: entry for entry in ranked.tasks[0].settings[0].entries}
    assert sorted(e.rank for e in entries.values() if e.rank) == [1, 2, 3, 4]
    assert entries["softmax"].rank is None
    assert entries["attnscale"].rank is None  # one of its three seeds failed
    assert entries["attnscale"].unranked == "It shares 2 finished seeds with the baseline; a rank needs 3."


def test_rows_without_numbers_come_last_and_are_not_lost(board: Board):
    language = next(task for task in board.tasks if task.name == "language")
    assert [entry.row.variant for entry in language.entries()][-1] == "featscale"
    assert len(language.entries()) == 6


def test_a_plan_without_its_baseline_is_shown_without_differences(tmp_path: Path):
    manifest = write_runs(tmp_path, tier="ranked", seeds=(0, 1, 2))
    jobs = tuple(job for job in manifest.jobs if job.spec.variant != "softmax")
    entries = build(tmp_path, dataclasses.replace(manifest, jobs=jobs)).tasks[0].entries()
    assert {entry.rank for entry in entries} == {None}
    means = [entry.estimate.mean for entry in entries if entry.estimate]
    assert means == sorted(means, reverse=True)


def test_a_folder_in_which_nothing_has_run_gives_pending_rows(folder: tuple[Path, Manifest], tmp_path: Path):
    board = build(tmp_path, folder[1])
    assert board.counts == {"pending": 60}
    assert [task.metric.name for task in board.tasks] == ["top-1", "mIoU", "perplexity", "accuracy"]


def test_the_json_document_holds_the_whole_board_but_for_the_digests_of_the_code(board: Board):
    def without_code(items: list[tuple[str, object]]) -> dict[str, object]:
        return {name: value for name, value in items if name != "code"}

    whole = dataclasses.asdict(board, dict_factory=without_code)
    assert json.loads(document(board)) == json.loads(json.dumps(whole))


def test_figures_from_papers_stand_beside_ours_and_are_none_of_them(
    board: Board, monkeypatch: pytest.MonkeyPatch, folder: tuple[Path, Manifest]
):
    paper = "Author <i>, 2020"
    line = Published(
        **{"model": "GCN", "variant": "DropEdge", "figures": {"accuracy": 49.5}, "source": paper, "mark": "recalled"},
        **{"data": "karate", "like": {}},
    )
    monkeypatch.setattr(board_module, "published", lambda setting: (line,) if setting["data"] == "karate" else ())
    beside = build(*folder)
    said = f"GCN, DropEdge: accuracy 49.5. {paper} (recalled: from memory: check it before you quote it)"
    assert markdown(beside).count(f"- As published, not ours: {said}") == 2
    assert render(beside).count(f"not ours</span> {html.escape(said)}") == 2
    assert comma_separated(beside) == comma_separated(board)
    assert beside.entries() == board.entries()
