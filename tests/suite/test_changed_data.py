"""Results whose data have changed since: noted before a job begins, told afterwards, run again on request."""

import functools
import os
from pathlib import Path

import pytest

from jobs.contract import JobFolder, read_json
from suite import provenance
from suite.data import sets
from suite.data.fingerprint import Listing
from suite.planning.plan import Job
from suite.running import outlook
from suite.running.agenda import Agenda, Redo
from suite.running.supervise import supervise
from tests.suite.fake_runtime import job, order

CHANGED = "the data set imagefolder has changed since"


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A data root with one folder of pictures."""
    (tmp_path / "data/flowers").mkdir(parents=True)
    (tmp_path / "data/flowers/rose.jpg").write_text("red")
    provenance.forget()
    return tmp_path / "data"


def painted(root: Path, colour: str) -> None:
    """The picture is written anew, a little later."""
    path = root / "flowers/rose.jpg"
    later = path.stat().st_mtime + 5 if path.exists() else 5
    path.write_text(colour)
    os.utime(path, (later, later))
    provenance.forget()


def planned(*behaves: str) -> Job:
    return job(data="imagefolder", arguments={"behaves": list(behaves), "folder": "flowers"})


def done(root: Path, *behaves: str) -> tuple[Job, JobFolder]:
    """A job that has run with these data."""
    wanted = planned(*behaves)
    folder = JobFolder(root.parent / "runs" / wanted.id)
    supervise(folder, order(wanted.spec, data_root=str(root), retries=0))
    return wanted, folder


def test_the_supervisor_notes_which_files_there_are_before_the_job_begins(root: Path) -> None:
    _, folder = done(root, "ok")
    noted = read_json(provenance.data_path(folder.attempt(1)))
    assert (noted["name"], noted["place"], noted["root"]) == ("imagefolder", "flowers", str(root))
    assert (noted["files"], noted["bytes"], len(noted["digest"])) == (1, 3, 64)


def test_a_result_is_stale_once_its_data_have_changed_and_not_before(root: Path) -> None:
    _, folder = done(root, "ok")
    assert provenance.stale(folder) is None
    painted(root, "red")
    assert provenance.stale(folder) is None
    painted(root, "dry")
    assert provenance.stale(folder) == CHANGED


def test_data_that_are_not_on_this_machine_cannot_be_told(root: Path) -> None:
    _, folder = done(root, "ok")
    (root / "flowers").rename(root / "elsewhere")
    provenance.forget()
    assert provenance.stale(folder) is None


def test_other_data_under_another_root_are_told_and_a_copy_is_not(root: Path, tmp_path: Path) -> None:
    wanted, folder = done(root, "ok")
    for name, colour in (("copy", "red"), ("other", "blue")):
        (tmp_path / name / "flowers").mkdir(parents=True)
        painted(tmp_path / name, colour)
    assert provenance.stale(folder, data_root=tmp_path / "copy") is None
    seen = outlook.read([wanted], tmp_path / "runs", Redo(), tmp_path / "other")
    assert (seen.stale, seen.left) == ({wanted.id: CHANGED}, ())
    seen = outlook.read([wanted], tmp_path / "runs", Redo(stale=True), tmp_path / "other")
    assert seen.left == (wanted,)


def test_a_job_with_other_data_is_run_again_on_request_only(root: Path, tmp_path: Path) -> None:
    wanted, folder = done(root, "ok")
    painted(root, "dry")
    for redo, again in ((Redo(), False), (Redo(stale=True), True)):
        agenda = Agenda([wanted], runs=tmp_path / "runs", weights={}, data_root=root)
        agenda.open(redo)
        assert agenda.unfinished is again
    assert not folder.result.exists()
    assert (folder.attempt(1).root / "result.json").exists()


def test_an_unfinished_job_does_not_go_on_from_a_checkpoint_of_other_data(root: Path, tmp_path: Path) -> None:
    wanted, folder = done(root, "ok")
    folder.result.unlink()
    Agenda([wanted], runs=tmp_path / "runs", weights={}).open(Redo())
    assert folder.checkpoints.exists()
    painted(root, "dry")
    Agenda([wanted], runs=tmp_path / "runs", weights={}).open(Redo())
    assert not folder.checkpoints.exists()


def test_nothing_is_noted_of_embedded_data_or_without_a_root(root: Path) -> None:
    _, folder = done(root, "ok")
    attempt = folder.attempt(2)
    attempt.root.mkdir()
    provenance.note_data(attempt, planned("ok").spec, None)
    provenance.note_data(attempt, job("ok", data="karate").spec, str(root))
    provenance.note_data(attempt, planned("ok").spec, str(root / "nowhere"))
    assert not provenance.data_path(attempt).exists()


def test_a_note_beside_the_files_of_a_known_data_set_does_not_count(tmp_path: Path) -> None:
    counts = functools.partial(sets.concerns, "camvid")
    (tmp_path / "train").mkdir()
    (tmp_path / "train/0.png").write_text("picture")
    listed = Listing.of(tmp_path, counts)
    (tmp_path / "NOTES.txt").write_text("mine")
    again = Listing.of(tmp_path, counts)
    assert listed is not None and again is not None and again.stamp == listed.stamp
    (tmp_path / "train/1.png").write_text("picture")
    more = Listing.of(tmp_path, counts)
    assert more is not None and more.stamp != listed.stamp
