import dataclasses
import re
from pathlib import Path

import pytest
from plotly.offline import get_plotlyjs

from suite.leaderboard.board import Board, build
from suite.leaderboard.drawers import drawers
from suite.leaderboard.figures import charts
from suite.leaderboard.files import write
from suite.leaderboard.page import render
from suite.leaderboard.published import Published
from tests.suite.board_fixture import VARIANTS, write_runs


@pytest.fixture(scope="module")
def page(board: Board) -> str:
    """Without the plotting library, which is somebody else's text."""
    return render(board).replace(get_plotlyjs(), "")


def test_the_plotting_library_is_in_the_page_once(board: Board):
    assert render(board).count(get_plotlyjs()) == 1


def test_the_page_refers_to_nothing_outside_itself(page: str):
    assert re.findall(r"""(?:src|href|action)\s*=\s*["']?[^"'#\s]|@import|url\(|https?:|//cdn""", page) == []


def test_every_row_is_on_the_page(page: str, board: Board):
    assert page.count('<tr class="row') == len(board.entries()) == 30
    for entry in board.entries():
        for trial in entry.row.trials:
            assert (
                trial.rerun == f"unsmooth run smoke --runs 'my runs' --seeds {trial.seed} --select {trial.id} --force"
            )
    told = [trial["rerun"] for one in drawers(board)["rows"].values() for trial in one["provenance"]]
    assert told == [trial.rerun for entry in board.entries() for trial in entry.row.trials]


def test_every_row_has_an_anchor_that_another_board_with_it_has_too(page: str, board: Board, ranked: Board):
    keys = [row.key for row in board.rows()]
    assert len(set(keys)) == len(keys) == 30
    assert all(page.count(f' id="row-{key}"') == 1 for key in keys)
    assert {row.key for row in ranked.rows()} == set(keys)  # of more seeds and another tier


def test_the_page_says_what_all_jobs_took_and_what_was_predicted(page: str, board: Board):
    assert (
        "<li>took 26 min in 54 jobs, 0.15 GPU-h + 0.36 core-h, 27 Wh in 34 of them, at most 412 MB a process</li>"
        in page
    )
    assert "<li>predicted 25 min, took 23 min (45 jobs: 45 guessed)</li>" in page


def test_a_drawer_tells_seeds_cost_and_origin_of_each_and_what_papers_say_of_the_variant(board: Board):
    setting = board.tasks[3].settings[0]
    lines = tuple(
        Published(
            model="GCN", variant=name, figures={"accuracy": 81.0}, source="A", mark="seen", data="karate", like={}
        )
        for name in ("none", "NeuTRENO", "jumping knowledge")
    )
    task = dataclasses.replace(board.tasks[3], settings=(dataclasses.replace(setting, published=lines),))
    shown = drawers(dataclasses.replace(board, tasks=(task,)))["rows"]
    entry = setting.entries[1]
    told = shown[entry.row.key]
    assert told["seeds"][0][2:] == ["ok", "1", "16 s", "16 s", "0.0043 core-h", "412 MB", "0.069 Wh"]
    assert told["sum"][4:] == ["31 s", "33 s", "0.0086 core-h", "", "0.14 Wh"]
    origin = {"commit": "0123456789ab", "device": "cpu (AMD EPYC, AVX2)", "data": "5f2c", "files": "–", "mark": ""}
    assert origin.items() <= told["provenance"][0].items()
    papers = {
        e.row.variant: [line.partition(":")[0] for line in shown[e.row.key]["published"]] for e in setting.entries
    }
    assert papers == {name: [] for name in VARIANTS} | {"softmax": ["GCN, none"], "neutreno": ["GCN, NeuTRENO"]}


def test_quality_is_held_against_every_cost_that_is_known(board: Board):
    points = {task: charts(board)["tasks"][task]["costs"] for task in ("classification", "language", "graph")}
    kinds = {task: {point["against"].split(" [")[0] for point in found} for task, found in points.items()}
    every = {"step time / baseline's", "peak memory"}
    assert kinds["classification"] == every | {"core-hours of a job"}
    assert kinds["language"] == every | {"GPU-hours of a job", "energy of a job"}
    assert kinds["graph"] == every | {"core-hours of a job", "energy of a job"}
    memory = [point for point in points["graph"] if point["against"].startswith("peak")]
    assert {tuple(point["x"]) for point in memory} == {(0.412,)}
    assert sum(point["front"] for point in memory) == 2  # at equal cost the best one of each setting


def test_what_a_job_wrote_to_its_log_is_text_and_not_markup(page: str):
    assert "<script>alert(1)" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page


def test_the_standard_deviation_over_seeds_has_a_column_of_its_own(page: str, board: Board):
    assert "sd is the standard deviation over seeds" in page
    for entry in board.entries():
        if entry.estimate and entry.estimate.sd is not None:
            assert f'<td class="number wide" data-value="{entry.estimate.sd}">{entry.estimate.sd:.2f}</td>' in page


def test_development_results_are_marked(page: str, ranked: Board):
    assert "Development results: shown, not ranked" in page
    assert "Development results" not in render(ranked)


def test_uncommitted_changes_are_marked(board: Board):
    assert "from a checkout with uncommitted changes" not in render(board)
    assert "from a checkout with uncommitted changes" in render(dataclasses.replace(board, dirty=True))


def test_a_closing_script_tag_in_a_name_does_not_end_the_chart_data(board: Board):
    entry = board.tasks[0].settings[0].entries[0]
    row = dataclasses.replace(entry.row, name="</script><b>")
    setting = dataclasses.replace(board.tasks[0].settings[0], entries=(dataclasses.replace(entry, row=row),))
    task = dataclasses.replace(board.tasks[0], settings=(setting,))
    page = render(dataclasses.replace(board, tasks=(task,))).replace(get_plotlyjs(), "")
    assert "</script><b>" not in page


def test_charts_hold_a_line_per_variant_stack_site_and_metric(board: Board):
    profiles = charts(board)["tasks"]["segmentation"]["profiles"]
    assert len(profiles) == 5 * 2 * (2 * 4 + 2)  # featscale was blocked
    assert {(line["x"], len(line["y"])) for line in profiles} == {(None, 6)}  # all layers from the first on


def test_the_metric_is_swept_over_the_depths_that_a_task_has(board: Board):
    tasks = charts(board)["tasks"]
    assert tasks["language"]["sweep"] is None
    sweep = tasks["graph"]["sweep"]
    assert (sweep["argument"], sweep["metric"]) == ("depth", "accuracy [%]")
    assert {line["name"]: line["x"] for line in sweep["lines"]}["gcn"] == [4, 12]
    assert {line["place"] for line in sweep["lines"]} == {"graph karate model=gcn"}


def test_a_board_without_any_result_can_be_rendered(tmp_path: Path):
    manifest = write_runs(tmp_path / "written")
    assert "60 pending" in render(build(tmp_path / "empty", manifest))


def test_writing_gives_four_files_and_leaves_nothing_else(board: Board, tmp_path: Path):
    names = ["leaderboard.html", "leaderboard.md", "leaderboard.csv", "leaderboard.json"]
    assert [path.name for path in write(board, tmp_path)] == names
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names)
