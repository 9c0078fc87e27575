"""Golden files are compared whole. To renew them after a wanted change, write `markdown(board)` and
`comma_separated(board)` of the fixture to tests/golden/ and read the difference before committing it."""

import csv
import io
from pathlib import Path

from suite.leaderboard.board import Board
from suite.leaderboard.tables import COLUMNS, comma_separated, markdown

GOLDEN = Path(__file__).parents[2] / "golden"


def test_the_markdown_is_the_golden_file(board: Board):
    assert markdown(board) == (GOLDEN / "leaderboard.md").read_text(encoding="utf-8")


def test_the_csv_is_the_golden_file(board: Board):
    assert comma_separated(board) == (GOLDEN / "leaderboard.csv").read_text(encoding="utf-8")


def test_the_csv_has_one_line_per_row_and_unrounded_numbers(board: Board):
    lines = list(csv.DictReader(io.StringIO(comma_separated(board))))
    assert tuple(lines[0]) == COLUMNS
    for line, entry in zip(lines, board.entries(), strict=True):
        assert line["mean"] == (repr(entry.estimate.mean) if entry.estimate else "")
        assert line["job_ids"].split() == [trial.id for trial in entry.row.trials]
