"""What is left to do, in which order, and what never will be."""

import json
from pathlib import Path

from jobs.contract import JobFolder, Result, file_sha256
from suite import provenance
from suite.planning.plan import Job
from suite.running.agenda import Agenda, Redo
from tests.suite.fake_runtime import job


def agenda(runs: Path, *jobs: Job, redo: Redo | None = None, weights: dict[str, float] | None = None) -> Agenda:
    opened = Agenda(jobs, runs=runs, weights=weights or {})
    opened.open(redo or Redo())
    return opened


def ended(done: Job, status: str = "ok", failure: str | None = None) -> Result:
    return Result(id=done.id, attempt=1, status=status, failure=failure, reason="Because.")


def left_behind(runs: Path, done: Job, status: str = "ok", failure: str | None = None) -> JobFolder:
    """A job that has ended in an earlier command."""
    folder = JobFolder(runs / done.id)
    folder.attempt(1).root.mkdir(parents=True)
    folder.checkpoints.mkdir()
    done.spec.save(folder.spec)
    ended(done, status, failure).save(folder.result)
    return folder


def started(opened: Agenda) -> list[str]:
    names = []
    while (found := opened.start_next(lambda job: True)) is not None:
        names.append(found.id)
    return names


def test_the_largest_job_goes_first_and_steps_count_where_nothing_is_known(tmp_path: Path) -> None:
    small, large, wide = job("a", steps=1), job("b", steps=9), job("c", steps=5, threads=4)
    assert started(agenda(tmp_path, small, large, wide)) == [wide.id, large.id, small.id]


def test_a_job_that_others_wait_for_counts_with_the_longest_chain_after_it(tmp_path: Path) -> None:
    first = job("a")
    second = job("b", upstream=first.spec)
    alone = job("c")
    opened = agenda(tmp_path, first, alone, second, weights={first.id: 1, second.id: 9, alone.id: 5})
    assert started(opened) == [first.id, alone.id]


def test_a_smaller_job_fills_the_room_a_larger_one_does_not_fit_in(tmp_path: Path) -> None:
    large, small = job("a", threads=4), job("b", threads=1)
    found = agenda(tmp_path, large, small).start_next(lambda job: job.spec.threads <= 2)
    assert found == small


def test_a_job_waits_for_its_upstream_job(tmp_path: Path) -> None:
    first = job("a")
    second = job("b", upstream=first.spec)
    opened = agenda(tmp_path, first, second)
    assert started(opened) == [first.id]
    opened.settle(ended(first))
    assert started(opened) == [second.id]


def test_jobs_below_a_failed_one_are_blocked_and_say_by_whom(tmp_path: Path) -> None:
    first = job("a")
    second = job("b", upstream=first.spec)
    third = job("c", upstream=second.spec)
    opened = agenda(tmp_path, first, second, third)
    started(opened)
    opened.settle(ended(first, "failed", "nan"))
    assert not opened.unfinished
    assert [opened.results[found.id].status for found in (second, third)] == ["blocked", "blocked"]
    assert opened.results[second.id].reason == f"Upstream job {first.id} is failed: Because."
    assert Result.load(JobFolder(tmp_path / third.id).result).status == "blocked"


def test_a_failing_upstream_job_leaves_what_stands_below_it(tmp_path: Path) -> None:
    first = job("a")
    second, third, fourth = (job(name, upstream=first.spec) for name in ("b", "c", "d"))
    folder = left_behind(tmp_path, second)
    left_behind(tmp_path, third, "skipped")
    opened = agenda(tmp_path, first, second, third, fourth)
    assert started(opened) == [first.id]
    opened.settle(ended(first, "failed", "nan"))
    assert [opened.results[found.id].status for found in (second, third, fourth)] == ["ok", "skipped", "blocked"]
    assert Result.load(folder.result).status == "ok"


def test_an_upstream_job_that_failed_earlier_leaves_what_stands_below_it(tmp_path: Path) -> None:
    first = job("a")
    second = job("b", upstream=first.spec)
    left_behind(tmp_path, first, "failed", "nan")
    folder = left_behind(tmp_path, second)
    assert agenda(tmp_path, first, second).results[second.id].status == "ok"
    assert Result.load(folder.result).status == "ok"


def test_a_result_that_another_is_published_over_is_set_aside_and_stays_there(tmp_path: Path) -> None:
    torn = job("a")
    torn = Job(spec=torn.spec, id=torn.id, entry="fake", broken="my_idea.py, line 3: invalid syntax.")
    folder = left_behind(tmp_path, torn)
    for _ in range(2):
        assert agenda(tmp_path, torn).results[torn.id].failure == "variant_error"
        assert Result.load(folder.result).failure == "variant_error"
        assert Result.load(folder.attempt(1).root / "result.json").status == "ok"


def test_a_skipped_upstream_job_blocks_too(tmp_path: Path) -> None:
    first = job("a")
    second = job("b", upstream=first.spec)
    left_behind(tmp_path, first, "skipped")
    assert agenda(tmp_path, first, second).results[second.id].status == "blocked"


def test_an_interrupted_upstream_job_neither_blocks_nor_lets_start(tmp_path: Path) -> None:
    first = job("a")
    second = job("b", upstream=first.spec)
    opened = agenda(tmp_path, first, second)
    started(opened)
    opened.settle(ended(first, "failed", "preempted"))
    assert second.id not in opened.results
    assert started(opened) == []


def test_an_upstream_job_that_is_not_selected_must_have_a_result(tmp_path: Path) -> None:
    first = job("a")
    second = job("b", upstream=first.spec)
    reason = agenda(tmp_path, second).results[second.id].reason
    assert reason == f"Upstream job {first.id} has no result and is not selected."
    left_behind(tmp_path, first)
    assert started(agenda(tmp_path, second)) == [second.id]


def test_what_has_ended_stands_and_is_not_run_again(tmp_path: Path) -> None:
    done, skipped, failed = job("a"), job("b"), job("c")
    left_behind(tmp_path, done)
    left_behind(tmp_path, skipped, "skipped")
    left_behind(tmp_path, failed, "failed", "nan")
    assert not agenda(tmp_path, done, skipped, failed).unfinished


def test_failed_jobs_are_run_again_on_request_and_go_on_from_their_checkpoints(tmp_path: Path) -> None:
    done, failed = job("a"), job("b")
    left_behind(tmp_path, done)
    folder = left_behind(tmp_path, failed, "failed", "timeout")
    assert started(agenda(tmp_path, done, failed, redo=Redo(failed=True))) == [failed.id]
    assert folder.checkpoints.exists()
    assert Result.load(folder.attempt(1).root / "result.json").failure == "timeout"


def test_force_runs_everything_afresh_and_keeps_what_was_there(tmp_path: Path) -> None:
    done = job("a")
    folder = left_behind(tmp_path, done)
    assert started(agenda(tmp_path, done, redo=Redo(everything=True))) == [done.id]
    assert not folder.result.exists()
    assert not folder.checkpoints.exists()
    assert sorted(path.name for path in folder.attempt(1).root.iterdir()) == ["checkpoints", "result.json"]


def test_stale_jobs_are_run_again_on_request_only(tmp_path: Path) -> None:
    fresh, stale = job("a"), job("b")
    for done, sha256 in ((fresh, file_sha256(provenance.SOURCE_ROOT / "jobs/contract.py")), (stale, "0" * 64)):
        attempt = left_behind(tmp_path, done).attempt(1)
        attempt.provenance.write_text(json.dumps({"code": {"jobs/contract.py": sha256}}))
    assert not agenda(tmp_path, fresh, stale).unfinished
    assert started(agenda(tmp_path, fresh, stale, redo=Redo(stale=True))) == [stale.id]


def test_an_unfinished_job_does_not_go_on_from_a_checkpoint_of_other_code(tmp_path: Path) -> None:
    unfinished = job("a")
    folder = left_behind(tmp_path, unfinished)
    folder.result.unlink()
    folder.attempt(1).provenance.write_text(json.dumps({"code": {"jobs/contract.py": "0" * 64}}))
    assert started(agenda(tmp_path, unfinished)) == [unfinished.id]
    assert not folder.checkpoints.exists()


def test_a_blocked_job_is_looked_at_again_by_the_next_command(tmp_path: Path) -> None:
    blocked = job("a")
    folder = left_behind(tmp_path, blocked, "blocked")
    assert started(agenda(tmp_path, blocked)) == [blocked.id]
    assert not folder.result.exists()


def test_a_broken_variant_file_is_a_failed_row_and_everything_else_runs(tmp_path: Path) -> None:
    whole, torn = job("a"), job("b")
    torn = Job(spec=torn.spec, id=torn.id, entry="fake", broken="my_idea.py, line 3: invalid syntax.")
    opened = agenda(tmp_path, torn, whole)
    assert started(opened) == [whole.id]
    published = Result.load(JobFolder(tmp_path / torn.id).result)
    assert (published.failure, published.reason) == ("variant_error", "my_idea.py, line 3: invalid syntax.")
    assert JobFolder(tmp_path / torn.id).attempts() == []
