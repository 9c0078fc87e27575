"""A runs folder that is full, slow, or refuses to be written for a while costs time and nothing else."""

from pathlib import Path

import pytest

from tests.cluster.needs import require
from tests.faults import kills
from tests.faults.storage import DiskFull, FolderFrozen, FolderRefuses, file_disk, fill, memory_disk
from tests.faults.storm import Storm
from tests.suite.command import Command

pytestmark = pytest.mark.cluster


def test_a_full_disk_that_is_freed_loses_nothing(tmp_path: Path) -> None:
    require("mount")
    with memory_disk(tmp_path / "disk", size_mib=24) as disk:
        kinds = {DiskFull: 2, kills.JobKilled: 2}
        storm = Storm(disk / "runs", seed=11, kinds=kinds, size=(20, 6), retry_failed=True)
        assert storm.blow(4).all == []


def test_a_shared_folder_that_stalls_or_refuses_for_a_while_loses_nothing(tmp_path: Path) -> None:
    require("mount", "mkfs.ext4", "fsfreeze", "chattr")
    with file_disk(tmp_path / "disk", size_mib=64) as disk:
        kinds = {FolderFrozen: 2, FolderRefuses: 2, kills.SupervisorKilled: 2}
        storm = Storm(disk / "runs", seed=12, kinds=kinds, size=(20, 6), retry_failed=True)
        assert storm.blow(6).all == []


@pytest.mark.parametrize(("there", "code"), [(False, 2), (True, 1)], ids=["new", "used"])
def test_a_command_on_a_full_disk_says_so(tmp_path: Path, there: bool, code: int) -> None:
    require("mount")
    with memory_disk(tmp_path / "disk", size_mib=1) as disk:
        runs = disk / "runs"
        if there:
            runs.mkdir()
            (runs / ".lock").write_text("process 1 on an earlier day")
        fill(disk)
        done = Command(tmp_path, tmp_path / "cache")("run", "nano", "--select", "graph", "--runs", runs)
        assert done.returncode == code
        assert "No space left on device" in done.stderr
