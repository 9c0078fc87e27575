"""Several machines record the same jobs at the same moment: each is there once, and so is each row."""

import shutil
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from mlflow.entities import Run

from jobs.contract import JobFolder
from suite.planning.manifest import Manifest
from suite.recording import record
from suite.recording.layout import holder, identity
from suite.recording.mirror import Mirror
from tests.suite.board_fixture import write_runs
from tests.suite.recording.looking import chosen, everything, of_jobs, summarise
from tests.suite.recording.meddling import Killed, Meddled, Once


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    return write_runs(tmp_path_factory.mktemp("manifest"))


def two(folder: Path, request: str, faster: Callable[[Mirror], object]) -> list[Mirror]:
    """Two machines' folders with the same jobs, and one database; the second is faster at a request of the first."""
    mine, yours = folder / "mine", folder / "yours"
    for runs in (mine, yours):
        write_runs(runs)
    uri = record.default_uri(folder)
    other = Mirror(yours, uri)
    return [Mirror(mine, uri, Meddled(uri, mine, Once(request, lambda: faster(other)))), other]


def parents(runs: list[Run]) -> list[Run]:
    return [run for run in runs if "unsmooth.job_id" not in run.data.tags and "unsmooth.row" in run.data.tags]


def test_a_row_made_twice_at_once_is_one_with_all_its_seeds(tmp_path: Path, manifest: Manifest) -> None:
    first, second = chosen(manifest)[:2]
    mine, yours = two(tmp_path, "create", lambda other: other.job(second))
    assert mine.job(first)
    for mirror, name in ((mine, first), (yours, second)):
        summarise(mirror, [name])
    runs = everything(mine.server.uri)
    (parent,) = parents(runs)
    assert parent.data.metrics["board/seeds"] == 2
    assert {run.data.tags["mlflow.parentRunId"] for run in of_jobs(runs).values()} == {parent.info.run_id}


def test_a_row_says_what_all_its_seeds_say_though_another_came_while_it_was_written(
    tmp_path: Path, manifest: Manifest
) -> None:
    first, second = chosen(manifest)[:2]
    mine, _ = two(tmp_path, "keep", lambda other: other.job(second))
    Mirror(mine.runs, mine.server.uri).job(first)
    mine.job(first)
    summarise(mine, [first])
    (parent,) = parents(everything(mine.server.uri))
    assert parent.data.metrics["board/seeds"] == 2


def test_what_a_killed_recorder_left_of_a_job_goes_and_its_open_runs_are_ended(
    tmp_path: Path, manifest: Manifest
) -> None:
    def die(request: str) -> None:
        if request == "keep":
            raise Killed

    runs, uri = tmp_path / "runs", record.default_uri(tmp_path)
    write_runs(runs)
    first, second = chosen(manifest)[:2]
    for name in (first, second):
        with pytest.raises(Killed):
            Mirror(runs, uri, Meddled(uri, runs, die)).job(name)
    assert Counter(run.info.status for run in everything(uri))["RUNNING"] == 3
    again = Mirror(runs, uri)
    assert again.job(first)
    summarise(again, [first])
    again.close()
    left = everything(uri)
    assert list(of_jobs(left)) == [first]
    assert {run.info.status for run in left} == {"FINISHED"}


def test_a_copy_of_a_folder_stands_for_the_same_jobs(tmp_path: Path, manifest: Manifest) -> None:
    runs = tmp_path / "runs"
    write_runs(runs)
    known = identity(runs)
    copy = Path(shutil.copytree(runs, tmp_path / "copy"))
    assert (identity(copy), holder(copy)) == (known, holder(runs))


@pytest.mark.heavy
def test_folders_recorded_by_three_processes_at_once_twice_hold_no_doubles(tmp_path: Path) -> None:
    runs = [tmp_path / name for name in ("mine", "copy", "yours")]
    ids = chosen(write_runs(runs[0]))
    identity(runs[0])
    shutil.copytree(runs[0], runs[1])  # one folder, seen by two machines whose locks do not meet
    write_runs(runs[2])
    uri = record.default_uri(tmp_path)
    assert everything(uri) == []  # MLflow makes the file; processes that do so at once destroy it
    for _ in range(2):
        with ThreadPoolExecutor(3) as pool:
            list(pool.map(lambda each: record.save(each, ids, uri), runs))
    for each in runs:
        assert not record.save(each, ids, uri).missing
    left = everything(uri)
    assert sorted(of_jobs(left)) == sorted(name for name in ids if JobFolder(runs[0] / name).result.exists())
    rows = Counter(run.data.tags["unsmooth.row"] for run in parents(left))
    assert set(rows.values()) == {1}
    assert {run.data.tags["mlflow.parentRunId"] for run in of_jobs(left).values()} == {
        run.info.run_id for run in parents(left)
    }
    assert all({holder(runs[0]), holder(runs[2])} <= run.data.tags.keys() for run in of_jobs(left).values())
