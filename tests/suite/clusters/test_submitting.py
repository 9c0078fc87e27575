"""Handing in where SLURM refuses half-way; its commands are scripts here, for a real one cannot be made to refuse."""

import os
from pathlib import Path

import pytest

from tests.suite.command import Command

SBATCH = """#!/bin/bash
echo "sbatch $*" >> {log}
count=$(grep -c ^sbatch {log})
[ "$count" -le {accepted} ] || {{ echo "Batch job submission failed: limit" >&2; exit 1; }}
echo "$((100 + count))"
"""
OTHER = """#!/bin/bash
echo "{name} $*" >> {log}
"""


@pytest.fixture
def unsmooth(tmp_path: Path) -> Command:
    made = Command(tmp_path, tmp_path / "cache")
    made.environment["PATH"] = f"{tmp_path / 'bin'}:{os.environ['PATH']}"
    (tmp_path / "site.toml").write_text('[slurm]\nmode = "array"\n')
    return made


def slurm(folder: Path, *, accepted: int) -> Path:
    """SLURM's commands, of which sbatch accepts so many scripts; what they were called with."""
    log = folder / "calls"
    (folder / "bin").mkdir()
    for name in ("sbatch", "squeue", "scancel", "scontrol"):
        path = folder / "bin" / name
        path.write_text((SBATCH if name == "sbatch" else OTHER).format(log=log, accepted=accepted, name=name))
        path.chmod(0o755)
    return log


def test_arrays_are_taken_back_if_a_later_one_is_refused(unsmooth: Command, tmp_path: Path) -> None:
    log = slurm(tmp_path, accepted=1)
    done = unsmooth("submit", "nano", "--site", "site.toml")
    assert done.returncode == 2
    assert "sbatch refuses" in done.stderr and "limit" in done.stderr
    assert "scancel 101" in log.read_text().splitlines()
    assert not (tmp_path / "runs" / "slurm" / "submission.json").exists()


def test_what_was_accepted_is_remembered(unsmooth: Command, tmp_path: Path) -> None:
    log = slurm(tmp_path, accepted=9)
    assert unsmooth("submit", "nano", "--site", "site.toml").returncode == 0
    assert "scancel" not in log.read_text()
    assert '"101"' in (tmp_path / "runs" / "slurm" / "submission.json").read_text()
