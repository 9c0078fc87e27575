"""Numbers of several kinds of machines stay compared, and a reader is told."""

import json
from pathlib import Path

from jobs.contract import JobFolder, write_json
from suite.leaderboard.board import Setting, build
from suite.leaderboard.page import render
from suite.leaderboard.tables import comma_separated, markdown
from suite.planning.manifest import Manifest
from tests.suite.board_fixture import PLACES, write_runs

SENTENCE = (
    "2 kinds of machines (cpu (EPYC, AVX2); cpu (EPYC, AVX512)): the same seed may have another number on another kind."
)


def ran_on(runs: Path, manifest: Manifest, processors: dict[int, str]) -> None:
    """The processor that each seed's jobs name."""
    for job in manifest.jobs:
        path = JobFolder(runs / job.id).attempt(1).provenance
        if path.exists():
            hardware = {"processor": processors[job.spec.seed]}
            write_json(path, {**json.loads(path.read_text()), "hardware": hardware})


def classification(runs: Path, manifest: Manifest) -> Setting:
    return next(task for task in build(runs, manifest).tasks if task.name == "classification").settings[0]


def test_several_kinds_are_named_and_still_compared(tmp_path: Path):
    manifest = write_runs(tmp_path, seeds=(0, 1, 2), tier="ranked", places=PLACES)
    ran_on(tmp_path, manifest, {0: "EPYC, AVX512", 1: "EPYC, AVX2", 2: "EPYC, AVX2"})
    board, setting = build(tmp_path, manifest), classification(tmp_path, manifest)
    assert setting.machines == ("cpu (EPYC, AVX2)", "cpu (EPYC, AVX512)")
    assert any(entry.rank for entry in setting.entries)
    assert SENTENCE in markdown(board)
    assert "2 kinds of machines</small>" in render(board)
    assert "cpu (EPYC, AVX2); cpu (EPYC, AVX512)" in comma_separated(board)


def test_one_kind_is_not_worth_a_word(tmp_path: Path):
    manifest = write_runs(tmp_path, seeds=(0, 1, 2), tier="ranked", places=PLACES)
    ran_on(tmp_path, manifest, dict.fromkeys((0, 1, 2), "EPYC, AVX2"))
    board = build(tmp_path, manifest)
    assert "kinds of machines" not in markdown(board)
    assert "kinds of machines" not in render(board)
