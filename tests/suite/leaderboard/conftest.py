from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from suite.leaderboard.board import Board, build
from suite.leaderboard.files import write
from suite.planning.manifest import Manifest
from tests.suite.board_fixture import write_runs
from tests.suite.leaderboard.browser import chromium


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Manifest]:
    """Two seeds, development tier."""
    runs = tmp_path_factory.mktemp("runs")
    return runs, write_runs(runs)


@pytest.fixture(scope="session")
def board(folder: tuple[Path, Manifest]) -> Board:
    return build(*folder)


@pytest.fixture(scope="session")
def ranked(tmp_path_factory: pytest.TempPathFactory) -> Board:
    """Three seeds, a tier that is ranked."""
    runs = tmp_path_factory.mktemp("ranked")
    return build(runs, write_runs(runs, seeds=(0, 1, 2), tier="ranked", name="small"))


@pytest.fixture(scope="session")
def html(board: Board, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(board, tmp_path_factory.mktemp("board"))[0]


@pytest.fixture(scope="session")
def ranked_html(ranked: Board, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(ranked, tmp_path_factory.mktemp("board"))[0]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser
