"""A runs folder that is full, slow, or refuses to be written for a while costs time and nothing else."""

from pathlib import Path

import pytest

from tests.cluster.needs import require
from tests.faults import kills
from tests.faults.storage import DiskFull, FolderFrozen, FolderRefuses, file_disk, memory_disk
from tests.faults.storm import Storm

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
