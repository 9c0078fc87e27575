from pathlib import Path

import pytest

from suite.leaderboard.board import Board, build
from suite.planning.manifest import Manifest
from tests.suite.board_fixture import write_runs


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
