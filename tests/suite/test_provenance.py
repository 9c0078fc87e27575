"""Which code a result comes from, and whether it has changed."""

import json
import subprocess
from pathlib import Path

from jobs.contract import JobFolder, Result, file_sha256
from suite import provenance


def checkout(root: Path) -> None:
    (root / "jobs").mkdir()
    (root / "jobs" / "a.py").write_text("a = 1\n")
    for command in (["init", "-q"], ["add", "."], ["-c", "user.name=n", "-c", "user.email=e", "commit", "-qm", "m"]):
        subprocess.run(["git", "-C", str(root), *command], check=True)


def recorded(folder: JobFolder, attempt: int, document: dict[str, object]) -> None:
    folder.attempt(attempt).root.mkdir(parents=True)
    folder.attempt(attempt).provenance.write_text(json.dumps(document))


def source(root: Path) -> str:
    """A source file, and its digest as it is recorded."""
    (root / "jobs").mkdir()
    (root / "jobs" / "gcn.py").write_text("depth = 8\n")
    provenance.forget()
    return file_sha256(root / "jobs" / "gcn.py")


def test_a_checkout_is_known_by_commit_and_by_whether_it_was_changed(tmp_path: Path) -> None:
    checkout(tmp_path)
    clean = provenance.git_version(tmp_path)
    assert len(clean["sha"]) == 40
    assert not clean["dirty"]
    (tmp_path / "jobs" / "a.py").write_text("a = 2\n")
    assert provenance.git_version(tmp_path) == {"sha": clean["sha"], "dirty": True}


def test_a_folder_that_is_no_checkout_has_no_version(tmp_path: Path) -> None:
    assert provenance.git_version(tmp_path) == {}


def test_a_result_is_stale_once_a_file_behind_it_has_changed_and_the_file_is_named(tmp_path: Path) -> None:
    folder = JobFolder(tmp_path / "runs" / "id")
    recorded(folder, 1, {"code": {"jobs/gcn.py": source(tmp_path)}})
    assert provenance.stale(folder, root=tmp_path) is None
    (tmp_path / "jobs" / "gcn.py").write_text("depth = 9\n")
    provenance.forget()
    assert provenance.stale(folder, root=tmp_path) == "jobs/gcn.py has changed since"
    (tmp_path / "jobs" / "gcn.py").unlink()
    provenance.forget()
    assert provenance.stale(folder, root=tmp_path) == "jobs/gcn.py has gone since"


def test_the_attempt_that_counted_decides_not_a_later_one(tmp_path: Path) -> None:
    folder = JobFolder(tmp_path / "runs" / "id")
    recorded(folder, 1, {"code": {"jobs/gcn.py": source(tmp_path)}})
    recorded(folder, 2, {"code": {"jobs/gcn.py": "0" * 64}})
    Result(id="id", attempt=1, status="ok").save(folder.result)
    assert provenance.stale(folder, root=tmp_path) is None


def test_a_job_without_provenance_is_not_called_stale(tmp_path: Path) -> None:
    assert provenance.stale(JobFolder(tmp_path / "id"), root=tmp_path) is None
