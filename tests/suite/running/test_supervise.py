"""One job from its first attempt to its result, with real processes that fail in every way."""

import json
import os
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from jobs.contract import JobFolder, JobSpec, Launch, Result
from suite.running import prepare
from suite.running.prepare import PrepareError
from suite.running.supervise import supervise
from tests.suite.fake_runtime import order, spec
from tests.suite.running.test_runtimes_local import gone


def run(runs: Path, *behaves: str, **options: Any) -> tuple[JobFolder, Result]:
    wanted = spec(*behaves)
    folder = JobFolder(runs / wanted.id)
    return folder, supervise(folder, order(wanted, **options))


def begun(folder: JobFolder, attempt: int = 1) -> None:
    """Wait until an attempt has completed a step."""
    for _ in range(500):
        events = folder.attempt(attempt).events
        if events.exists() and '"step"' in events.read_text():
            return
        time.sleep(0.02)
    raise AssertionError(f"attempt {attempt} did not begin")


def in_background(folder: JobFolder, wanted: JobSpec, **options: Any) -> tuple[threading.Thread, list[Result]]:
    results: list[Result] = []
    thread = threading.Thread(target=lambda: results.append(supervise(folder, order(wanted, **options))))
    thread.start()
    return thread, results


def test_a_job_that_succeeds_has_its_output_published(tmp_path: Path) -> None:
    folder, result = run(tmp_path, "ok")
    assert (result.status, result.attempt) == ("ok", 1)
    assert Result.load(folder.result) == result == Result.load(folder.attempt(1).output)
    assert JobSpec.load(folder.spec) == spec("ok")


def test_a_skipped_job_is_not_tried_again(tmp_path: Path) -> None:
    folder, result = run(tmp_path, "skipped")
    assert (result.status, result.reason, folder.attempts()) == ("skipped", "An odd number of heads.", [1])


@pytest.mark.parametrize(
    ("behaves", "failure", "exit_code", "attempts"),
    [
        ("nan", "nan", 1, 1),
        ("raises", "error", 1, 2),
        ("segfault", "error", 139, 2),
        ("silent", "error", 0, 2),
        ("disk_full", "disk", 1, 3),
        ("killed_at_once", "killed", 137, 6),
    ],
)
def test_a_job_that_fails_for_good_is_a_row_with_its_class(
    tmp_path: Path, behaves: str, failure: str, exit_code: int, attempts: int
) -> None:
    folder, result = run(tmp_path, behaves)
    assert (result.status, result.failure, result.exit_code) == ("failed", failure, exit_code)
    assert folder.attempts() == list(range(1, attempts + 1))
    assert Result.load(folder.result) == result
    assert result.reason and result.advice


def test_a_failed_row_shows_the_end_of_the_log(tmp_path: Path) -> None:
    _, result = run(tmp_path, "raises")
    assert result.log_tail[-1] == "ValueError: the moon is not full"
    assert "ValueError: the moon is not full" in (result.reason or "")


@pytest.mark.parametrize("behaves", ["killed", "preempted", "raises", "segfault", "disk_full"])
def test_a_job_that_fails_once_is_tried_again_and_succeeds(tmp_path: Path, behaves: str) -> None:
    folder, result = run(tmp_path, behaves, "ok")
    assert (result.status, result.attempt) == ("ok", 2)
    assert Result.load(prepare.ending_path(folder, 1)).status == "failed"


def test_kills_from_outside_use_up_no_retries_while_the_job_gets_on(tmp_path: Path) -> None:
    folder, result = run(tmp_path, *["killed"] * 8, "ok", retries=0)
    assert (result.status, folder.attempts()[-1]) == ("ok", 9)


def test_out_of_memory_halves_the_micro_batch_down_to_what_fits(tmp_path: Path) -> None:
    _, result = run(tmp_path, "out_of_memory", "out_of_memory", "ok", retries=2)
    assert (result.status, result.cost["micro_batch"]) == ("ok", 2)


def test_out_of_memory_with_one_sample_left_is_a_failed_row(tmp_path: Path) -> None:
    folder, result = run(tmp_path, "out_of_memory", micro_batch=1, retries=9)
    assert (result.failure, folder.attempts()) == ("oom", [1])


def test_a_job_that_completes_no_step_is_a_hang_and_ended_though_it_is_deaf(tmp_path: Path) -> None:
    folder, result = run(tmp_path, "deaf", limits_s={"heartbeat": 0.4}, grace_s=0.1)
    assert (result.failure, result.exit_code, folder.attempts()) == ("hang", 137, [1, 2])
    assert "No step was completed for 0.4 s in phase 'train', after step 2." in (result.reason or "")


def test_a_phase_that_overruns_its_limit_is_a_timeout(tmp_path: Path) -> None:
    _, result = run(tmp_path, "waits", limits_s={"train": 0.4})
    assert (result.failure, result.reason) == ("timeout", "Phase 'train' took longer than its limit of 0.4 s.")


def test_a_success_counts_although_the_process_aborts_at_its_end(tmp_path: Path) -> None:
    _, result = run(tmp_path, "aborts_after_output")
    assert (result.status, result.attempt) == ("ok", 1)


def test_stopping_a_job_lets_it_write_a_checkpoint_and_publishes_nothing(tmp_path: Path) -> None:
    wanted, stop = spec("waits", "ok"), tmp_path / ".stop"
    folder = JobFolder(tmp_path / wanted.id)
    thread, results = in_background(folder, wanted, stop_file=str(stop), grace_s=10)
    begun(folder)
    stop.write_text("drain")
    thread.join(timeout=10)
    assert (results[0].failure, results[0].exit_code) == ("preempted", 75)
    assert not folder.result.exists()
    stop.unlink()
    assert supervise(folder, order(wanted)).attempt == 2


def test_stopping_at_once_does_not_wait_for_a_deaf_job(tmp_path: Path) -> None:
    wanted, stop = spec("deaf"), tmp_path / ".stop"
    thread, results = in_background(JobFolder(tmp_path / wanted.id), wanted, stop_file=str(stop), grace_s=600)
    begun(JobFolder(tmp_path / wanted.id))
    stop.write_text("now")
    thread.join(timeout=10)
    assert (results[0].failure, results[0].exit_code) == ("preempted", 137)


def test_no_process_of_the_job_is_left_when_it_has_ended(tmp_path: Path) -> None:
    folder, _ = run(tmp_path, "parent", "ok", limits_s={"train": 0.5}, grace_s=0.1)
    assert gone(int((folder.root / "child.pid").read_text()))


def test_a_child_that_left_the_process_group_is_ended_with_the_job(tmp_path: Path) -> None:
    folder, result = run(tmp_path, "leaves_a_daemon")
    assert result.status == "ok"
    assert gone(int((folder.root / "child.pid").read_text()))


def test_a_supervisor_that_was_taken_over_ends_its_job_and_publishes_nothing(tmp_path: Path) -> None:
    wanted = spec("slow", "waits", "ok")
    folder = JobFolder(tmp_path / wanted.id)
    thread, results = in_background(folder, wanted)
    begun(folder)
    folder.attempt(2).root.mkdir()
    thread.join(timeout=10)
    assert (results[0].attempt, results[0].failure) == (1, "preempted")
    assert "has taken job" in (results[0].reason or "")
    assert not folder.result.exists()


def test_a_job_that_ends_after_it_was_taken_over_is_not_published(tmp_path: Path) -> None:
    wanted = spec("slow")
    folder = JobFolder(tmp_path / wanted.id)
    thread, results = in_background(folder, wanted, poll_s=600.0)
    begun(folder)
    folder.attempt(2).root.mkdir()
    thread.join(timeout=10)
    assert Result.load(prepare.ending_path(folder, 1)).status == "ok"
    assert results[0].failure == "preempted"
    assert not folder.result.exists()


def test_a_job_that_has_ended_is_not_run_again_by_a_late_supervisor(tmp_path: Path) -> None:
    folder, result = run(tmp_path, "ok")
    assert run(tmp_path, "ok") == (folder, result)
    assert folder.attempts() == [1]


def test_files_that_a_killed_process_had_half_written_are_gone_when_the_job_has_ended(tmp_path: Path) -> None:
    wanted = spec("killed", "ok")
    folder = JobFolder(tmp_path)
    half = [folder.root / ".result.json.4711", folder.attempt(1).root / ".output.json.4711"]
    for path in half:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{")
    assert supervise(folder, order(wanted)).status == "ok"
    assert not any(path.exists() for path in half)


def test_a_folder_of_another_spec_is_refused(tmp_path: Path) -> None:
    spec("nan").save(JobFolder(tmp_path).spec)
    with pytest.raises(PrepareError, match="is the spec of job"):
        supervise(JobFolder(tmp_path), order(spec("ok")))
    assert JobFolder(tmp_path).attempts() == []


def test_the_upstream_checkpoint_and_the_outside_variant_are_put_into_inputs(tmp_path: Path) -> None:
    upstream = spec("ok")
    supervise(JobFolder(tmp_path / upstream.id), order(upstream))
    (tmp_path / "my_idea.py").write_text("lam = 0.6\n")
    wanted = spec("ok", upstream=upstream.id, seed=1)
    folder = JobFolder(tmp_path / wanted.id)
    supervise(folder, order(wanted, variant_file=str(tmp_path / "my_idea.py")))
    launch = Launch.load(folder.attempt(1).launch)
    assert (folder.root / (launch.upstream_file or "")).read_text() == upstream.id
    assert (folder.root / (launch.variant_file or "")).read_text() == "lam = 0.6\n"
    assert sorted(path.name for path in folder.inputs.iterdir()) == ["my_idea.py", "upstream.pt"]


def test_a_job_whose_environment_is_missing_is_a_row_of_class_image(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UNSMOOTH_FAIRSEQ_PYTHON", str(tmp_path / "none"))
    wanted = spec("ok", engine="fairseq")
    folder = JobFolder(tmp_path / wanted.id)
    result = supervise(folder, order(wanted, retries=1))
    assert (result.status, result.failure, folder.attempts()) == ("failed", "image", [1, 2])
    assert "Build it with `make fairseq`" in (result.reason or "")
    assert not folder.attempt(1).log.exists()


def test_a_missing_upstream_checkpoint_is_named(tmp_path: Path) -> None:
    wanted = spec("ok", upstream="0" * 16)
    with pytest.raises(PrepareError, match=r"0000/checkpoints/final\.pt is gone"):
        supervise(JobFolder(tmp_path / wanted.id), order(wanted))


def test_launch_tells_the_job_what_the_order_says(tmp_path: Path) -> None:
    folder, _ = run(tmp_path, "ok", micro_batch=4, workers=2, data_root="/data", limits_s={"train": 5.0})
    launch = Launch.load(folder.attempt(1).launch)
    assert (launch.micro_batch, launch.workers, launch.data_root) == (4, 2, "/data")
    assert launch.limits_s["train"] == 5.0
    assert launch.limits_s["build"] > 0
    assert json.loads(folder.attempt(1).launch.read_text())["attempt"] == 1


def test_a_full_disk_is_a_result_of_class_disk_even_if_nothing_can_be_written(tmp_path: Path) -> None:
    (tmp_path / f".spec.json.{os.getpid()}").symlink_to("/dev/full")
    wanted = spec("ok")
    result = supervise(JobFolder(tmp_path), order(wanted))
    assert (result.status, result.failure) == ("failed", "disk")
    assert "No space left on device" in (result.reason or "")


def test_a_disk_that_is_freed_during_the_pause_costs_no_result(tmp_path: Path) -> None:
    full = tmp_path / f".spec.json.{os.getpid()}"
    full.symlink_to("/dev/full")
    threading.Timer(0.2, full.unlink).start()
    assert supervise(JobFolder(tmp_path), order(spec("ok"), pause_scale=0.01)).status == "ok"


def test_a_log_without_end_is_cut_off(tmp_path: Path) -> None:
    wanted = spec("floods")
    result = supervise(JobFolder(tmp_path / wanted.id), order(wanted, retries=0))
    assert (result.failure, result.reason) == ("error", "The job's log grew past 256 MB, and the job was stopped.")
