"""Board -> files: the page, the tables and the data, under one name."""

from pathlib import Path

from suite.leaderboard.board import Board
from suite.leaderboard.page import render
from suite.leaderboard.tables import comma_separated, document, markdown

STEM = "leaderboard"


def write(board: Board, folder: Path) -> list[Path]:
    """Write leaderboard.html, .md, .csv and .json into `folder`; the page comes first in what is returned."""
    folder.mkdir(parents=True, exist_ok=True)
    texts = {"html": render(board), "md": markdown(board), "csv": comma_separated(board), "json": document(board)}
    return [_replaced(folder / f"{STEM}.{suffix}", text) for suffix, text in texts.items()]


def _replaced(path: Path, text: str) -> Path:
    """Written aside and renamed, so that an open page is never half a page."""
    aside = path.with_name(f".{path.name}")
    aside.write_text(text, encoding="utf-8")
    return aside.replace(path)
