"""What a run would do now, told from the runs folder."""

from pathlib import Path

import pytest

from jobs.contract import write_json
from suite.planning.plan import Choice, Entry, Plan, expand
from suite.running import outlook
from suite.running.agenda import Redo
from tests.suite.described import catalogue
from tests.suite.past import finish

PLAN = Plan(
    name="p",
    tier="ranked",
    seeds=(0, 1, 2, 3, 4),
    entries=(Entry(name="graph", task="graph"),),
    variants=(Choice(name="softmax"),),
)
JOBS = expand(PLAN, catalogue())


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """One job each that is ok, skipped, failed, blocked; the fifth was never started. The first is stale."""
    for job, status in zip(JOBS, ("ok", "skipped", "failed", "blocked"), strict=False):
        finish(job, tmp_path, status=status)
    write_json(tmp_path / JOBS[0].id / "attempts/1/provenance.json", {"code": {"jobs/gone.py": "00"}})
    return tmp_path


@pytest.mark.parametrize(
    ("redo", "left"),
    [
        (Redo(), [3, 4]),
        (Redo(failed=True), [2, 3, 4]),
        (Redo(stale=True), [0, 3, 4]),
        (Redo(everything=True), [0, 1, 2, 3, 4]),
    ],
)
def test_a_run_starts_what_has_no_result_and_what_it_is_asked_to_run_again(
    runs: Path, redo: Redo, left: list[int]
) -> None:
    assert [JOBS.index(job) for job in outlook.read(JOBS, runs, redo).left] == left


def test_stale_results_are_named_with_the_file_that_changed(runs: Path) -> None:
    assert outlook.read(JOBS, runs, Redo()).stale == {JOBS[0].id: "jobs/gone.py has gone since"}


def test_results_are_counted_by_how_they_stand(runs: Path) -> None:
    seen = outlook.read(JOBS, runs, Redo())
    assert seen.finished == (JOBS[0].id, JOBS[1].id)
    assert seen.failed == (JOBS[2].id,)


def test_jobs_of_a_broken_variant_file_are_failed_and_never_left_to_do(tmp_path: Path) -> None:
    jobs = expand(Plan(**{**vars(PLAN), "variants": (Choice(name="my_idea"),)}), catalogue())
    seen = outlook.read(jobs, tmp_path, Redo(everything=True))
    assert (seen.left, len(seen.failed)) == ((), 5)
