"""Checkpoints on disk."""

from pathlib import Path

import torch

from jobs.training import checkpoint


def test_the_last_two_are_kept(tmp_path: Path) -> None:
    for step in (8, 9, 10):
        checkpoint.save_step(tmp_path, step, {"step": step})
    assert sorted(path.name for path in tmp_path.glob("*.pt")) == ["step-10.pt", "step-9.pt"]
    assert len(list(tmp_path.iterdir())) == 4


def test_the_newest_by_number_is_loaded(tmp_path: Path) -> None:
    for step in (9, 10):
        checkpoint.save_step(tmp_path, step, {"step": step})
    document, damaged = checkpoint.newest(tmp_path)
    assert document == {"step": 10} and damaged == []


def test_a_damaged_checkpoint_is_passed_over_and_named(tmp_path: Path) -> None:
    for step in (1, 2):
        checkpoint.save_step(tmp_path, step, {"step": step, "weights": torch.zeros(100)})
    with (tmp_path / "step-2.pt").open("r+b") as file:
        file.seek(200)
        file.write(b"damage")
    document, damaged = checkpoint.newest(tmp_path)
    assert document is not None and document["step"] == 1
    assert [path.name for path in damaged] == ["step-2.pt"]


def test_a_checkpoint_without_its_checksum_is_not_trusted(tmp_path: Path) -> None:
    checkpoint.save_step(tmp_path, 1, {"step": 1})
    (tmp_path / "step-1.pt.sha256").unlink()
    assert checkpoint.newest(tmp_path)[0] is None


def test_an_empty_folder_has_no_checkpoint(tmp_path: Path) -> None:
    assert checkpoint.newest(tmp_path / "none") == (None, [])


def test_best_weights_live_as_long_as_a_checkpoint_refers_to_them(tmp_path: Path) -> None:
    for step in (1, 3, 5):
        checkpoint.save(checkpoint.best(tmp_path, step), {"step": step})
    checkpoint.drop_best(tmp_path, keep=(3, 5))
    assert sorted(path.name for path in tmp_path.glob("best-*.pt")) == ["best-3.pt", "best-5.pt"]
    assert checkpoint.load(checkpoint.best(tmp_path, 3)) == {"step": 3}


def test_damaged_checkpoints_and_half_written_files_are_cleared_away(tmp_path: Path) -> None:
    for step in (1, 2):
        checkpoint.save_step(tmp_path, step, {"step": step})
    (tmp_path / "step-2.pt").write_bytes(b"damage")
    (tmp_path / ".step-3.pt.4711").write_bytes(b"half")
    document, damaged = checkpoint.newest(tmp_path)
    checkpoint.tidy(tmp_path, damaged)
    assert document == {"step": 1}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-1.pt", "step-1.pt.sha256"]
