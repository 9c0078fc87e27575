"""When files are the same, and when they are not."""

import os
import shutil
from pathlib import Path

import pytest

from suite.data.fingerprint import Listing
from tests.suite.data.packing import write


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write(tmp_path / "t", {"raw/a": b"one", "raw/b": b"two", "processed/data.pt": b"x", ".unsmooth/y": b"y"})


def listed(folder: Path) -> Listing:
    found = Listing.of(folder)
    assert found is not None
    return found


def test_what_loaders_leave_behind_does_not_count(folder: Path) -> None:
    assert [path for path, _, _ in listed(folder).files] == ["raw/a", "raw/b"]
    assert Listing.of(folder / "nowhere") is None


def test_the_same_files_are_the_same_by_their_times_or_by_their_contents(folder: Path, tmp_path: Path) -> None:
    recorded = listed(folder).to_dict()
    assert listed(folder).same(recorded)
    shutil.copytree(folder, tmp_path / "copy", copy_function=shutil.copyfile)
    os.utime(tmp_path / "copy/raw/a", (1, 1))
    copy = listed(tmp_path / "copy")
    assert copy.stamp != recorded["stamp"]
    assert copy.same(recorded)


@pytest.mark.parametrize("change", [{"raw/a": b"eno"}, {"raw/a": b"longer"}, {"raw/c": b""}])
def test_another_content_size_or_name_is_another_data_set(folder: Path, change: dict[str, bytes]) -> None:
    recorded = listed(folder).to_dict()
    write(folder, change)
    os.utime(folder / "raw/a", (1, 1))
    assert not listed(folder).same(recorded)


def test_a_renamed_file_is_another_data_set(folder: Path) -> None:
    recorded = listed(folder).to_dict()
    (folder / "raw/a").rename(folder / "raw/z")
    assert not listed(folder).same(recorded)


def test_contents_are_read_once_per_stamp(folder: Path) -> None:
    digest, times = listed(folder).digest, (folder / "raw/a").stat()
    (folder / "raw/a").write_bytes(b"eno")
    os.utime(folder / "raw/a", ns=(times.st_atime_ns, times.st_mtime_ns))
    assert listed(folder).digest == digest
