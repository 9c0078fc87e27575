"""Endings that are hard to bring about are classified from what they leave: an exit code, a log, the last event."""

from pathlib import Path
from typing import Any

import pytest

from jobs.contract import AttemptFolder, Result
from suite.running import classify
from suite.running.classify import Facts
from suite.running.vitals import Overdue, Vitals
from tests.suite.fake_runtime import spec

SPEC = spec("ok")
TORCHRUN = """
Root Cause (first observed failure):
[0]:
  time      : 2026-11-22_10:00:00
  rank      : 1 (local_rank: 1)
  exitcode  : -9 (pid: 4242)
  traceback : Signal 9 (SIGKILL) received by PID 4242
"""


def classified(folder: Path, *, log: str = "", exit_code: int = 1, **facts: Any) -> Result:
    attempt = AttemptFolder(folder)
    attempt.log.write_text(log)
    vitals = Vitals(attempt.events)
    vitals.refresh()
    return classify.result(attempt, Facts(spec=SPEC, attempt=1, exit_code=exit_code, vitals=vitals, **facts))


@pytest.mark.parametrize(
    ("log", "exit_code", "failure"),
    [
        ("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB", 1, "oom"),
        ("terminate called after throwing an instance of 'std::bad_alloc'", -6, "oom"),
        ("MemoryError", 1, "oom"),
        ("OSError: [Errno 28] No space left on device", 1, "disk"),
        ("OSError: [Errno 122] Disk quota exceeded", 1, "disk"),
        ("", -9, "killed"),
        ("", -15, "killed"),
        ("", 137, "killed"),
        ("", 143, "killed"),
        ("", -6, "error"),
        ("", 255, "error"),
        (TORCHRUN, 1, "killed"),
        (TORCHRUN.replace("-9", "-11"), 1, "error"),
        ("", 75, "preempted"),
    ],
)
def test_exit_code_and_log_decide_the_class(tmp_path: Path, log: str, exit_code: int, failure: str) -> None:
    assert classified(tmp_path, log=log, exit_code=exit_code).failure == failure


def test_a_kill_is_out_of_memory_if_the_kernel_killed_for_it_meanwhile(tmp_path: Path) -> None:
    result = classified(tmp_path, exit_code=-9, out_of_memory=True)
    assert (result.failure, result.exit_code) == ("oom", 137)


def test_a_kill_names_job_signal_and_usual_cause(tmp_path: Path) -> None:
    expected = f"Job {SPEC.id} (fake, softmax, seed 0) was ended by SIGKILL (exit 137, usually out of memory)."
    assert classified(tmp_path, exit_code=-9).reason == expected


def test_a_launchers_exit_code_does_not_hide_that_its_job_was_preempted(tmp_path: Path) -> None:
    (tmp_path / "events.jsonl").write_text('{"time": 1, "kind": "preempted", "step": 7}\n')
    assert classified(tmp_path, exit_code=1).failure == "preempted"


def test_a_failure_told_by_event_counts_if_the_output_could_not_be_written(tmp_path: Path) -> None:
    (tmp_path / "events.jsonl").write_text('{"time": 1, "kind": "failed", "failure": "nan", "reason": "Loss nan."}\n')
    result = classified(tmp_path)
    assert (result.failure, result.reason) == ("nan", "Loss nan.")


def test_the_limit_that_was_overrun_comes_before_what_the_job_said_when_it_was_stopped(tmp_path: Path) -> None:
    Result(id=SPEC.id, attempt=1, status="failed", failure="error", reason="x").save(tmp_path / "output.json")
    overdue = Overdue(failure="hang", reason="No step.")
    assert classified(tmp_path, seen=classify.Seen(overdue=overdue), exit_code=75).failure == "hang"


@pytest.mark.parametrize("fields", [{"id": "other"}, {"attempt": 2}])
def test_an_output_of_another_job_or_attempt_does_not_count(tmp_path: Path, fields: dict[str, Any]) -> None:
    Result(**({"id": SPEC.id, "attempt": 1, "status": "ok"} | fields)).save(tmp_path / "output.json")
    assert classified(tmp_path, exit_code=0).failure == "error"


def test_an_output_cut_short_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "output.json").write_text('{"schema": 1, "id"')
    assert classified(tmp_path, exit_code=0).failure == "error"


def test_the_jobs_own_advice_is_kept(tmp_path: Path) -> None:
    Result(id=SPEC.id, attempt=1, status="failed", failure="data", reason="x", advice="Do y.").save(
        tmp_path / "output.json"
    )
    assert classified(tmp_path).advice == "Do y."


def test_the_tail_shows_a_progress_bar_as_a_terminal_does(tmp_path: Path) -> None:
    (tmp_path / "log.txt").write_bytes(b"begin\n10%\r20%\r30%\r\n\n\xff end")
    assert classify.tail(tmp_path / "log.txt") == ["begin", "30%", "\ufffd end"]


def test_only_the_last_lines_of_a_long_log_are_kept(tmp_path: Path) -> None:
    log = "\n".join(f"line {number}" for number in range(100_000))
    assert classified(tmp_path, log=log).log_tail == [f"line {number}" for number in range(99_980, 100_000)]
