"""Jobs forked off a warm process are the jobs that the suite starts."""

from pathlib import Path

import pytest

from jobs.check import nursery
from jobs.contract import JobFolder, Result
from tests.jobs import tiny


def forked(folder: JobFolder, *, processes: int = 1, limit_s: float = 120.0) -> tuple[nursery.Ended, Result | None]:
    ended = nursery.run(folder, processes=processes, limit_s=limit_s)
    output = folder.attempt(1).output
    return ended, Result.load(output) if output.exists() else None


@pytest.mark.parametrize("task", ["language", "segmentation"])
def test_a_forked_job_has_the_numbers_of_one_that_is_started(tmp_path: Path, task: str) -> None:
    _, _, expected = tiny.finish(tiny.place(tmp_path / "started", tiny.spec(task)))
    ended, found = forked(tiny.place(tmp_path / "forked", tiny.spec(task)))
    assert ended.code == 0 and expected is not None and found is not None
    assert found.numbers == expected.numbers


def test_two_forked_processes_form_a_group(tmp_path: Path) -> None:
    ended, result = forked(tiny.place(tmp_path, tiny.spec("language"), processes=2), processes=2)
    assert ended.code == 0, ended.said
    assert result is not None and result.status == "ok"


def test_how_a_job_fails_is_told(tmp_path: Path) -> None:
    folder = tiny.place(tmp_path, tiny.spec("graph"))
    folder.spec.write_text("no spec", encoding="utf-8")
    ended, result = forked(folder)
    assert ended.code == 1 and result is None
    assert "spec.json" in ended.said


def test_a_job_that_takes_too_long_is_killed(tmp_path: Path) -> None:
    ended, result = forked(tiny.place(tmp_path, tiny.spec("language", steps=100_000)), limit_s=3.0)
    assert (ended.code, result) == (None, None)
