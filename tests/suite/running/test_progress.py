"""What people see of a run while it goes on."""

import contextlib
import io
import os
import pty

from rich.console import Console

from suite.running import progress
from suite.running.progress import Lines, LiveTable, Quiet
from suite.running.state import JobState

TRAINS = JobState(
    id="aa", name="graph/gat[h=4]", state="running", phase="train", step=5, steps=10, metric="loss 0.5", eta_s=42
)
WAITS = JobState(id="bb", name="language/topics")
DONE = JobState(id="aa", name="graph/karate", state="ok", step=10, steps=10, metric="accuracy 83.3 %", attempts=2)
FAILED = JobState(id="bb", name="language/topics", state="failed", failure="nan", reason="The loss is nan at step 2.")


def shown(*states: JobState, width: int = 120, rows: int | None = None) -> str:
    console = Console(file=io.StringIO(), width=width)
    console.print(progress.table(states, rows=rows))
    return console.file.getvalue()  # type: ignore[attr-defined]


def everything(terminal: int) -> str:
    """What was written to a terminal that has been closed at the other end."""
    written = b""
    with contextlib.suppress(OSError):  # the end of a pseudo-terminal
        while chunk := os.read(terminal, 65536):
            written += chunk
    os.close(terminal)
    return written.decode()


def test_lines_say_each_change_once_and_nothing_of_waiting_jobs() -> None:
    stream = io.StringIO()
    lines = Lines(stream)
    for states in ([TRAINS, WAITS], [TRAINS, WAITS], [DONE, FAILED]):
        lines.show(states)
    assert stream.getvalue().splitlines() == [
        "[0/2] aa graph/gat[h=4]: train, step 5 of 10, loss 0.5",
        "[2/2] aa graph/karate: ok, accuracy 83.3 %",
        "[2/2] bb language/topics: failed (nan): The loss is nan at step 2.",
    ]


def test_the_table_shows_phase_progress_metric_and_time_left() -> None:
    text = shown(TRAINS, WAITS)
    assert "2 jobs: 1 running, 1 waiting" in text
    for cell in ("aa", "graph/gat[h=4]", "train", "5/10", "loss 0.5", "42 s"):
        assert cell in text


def test_the_table_shows_how_jobs_ended_and_how_often_they_were_tried() -> None:
    text = shown(DONE, FAILED)
    for cell in ("ok (attempt 2)", "accuracy 83.3 %", "failed", "nan"):
        assert cell in text


def test_a_short_table_keeps_running_and_failed_jobs_in_the_plans_order() -> None:
    states = [DONE, *(JobState(id=f"w{n}", name="w") for n in range(50)), FAILED, TRAINS]
    lines = shown(*states, rows=2).splitlines()
    assert lines[0].startswith("53 jobs: 1 running, 1 failed, 50 waiting, 1 ok")
    assert [line.split()[0] for line in lines[2:]] == ["bb", "aa"]


def test_durations_are_written_as_people_say_them() -> None:
    assert [progress.duration(s) for s in (0.4, 59.4, 60, 3599, 7800)] == [
        "0 s",
        "59 s",
        "1 min 0 s",
        "59 min 59 s",
        "2 h 10 min",
    ]


def test_a_pipe_gets_lines_json_nothing_and_a_terminal_a_live_table() -> None:
    assert isinstance(progress.choose(stream=io.StringIO()), Lines)
    assert isinstance(progress.choose(json=True, stream=io.StringIO()), Quiet)
    parent, child = pty.openpty()
    with os.fdopen(child, "w") as terminal:
        watcher = progress.choose(stream=terminal)
        assert isinstance(watcher, LiveTable)
        watcher.show([TRAINS])
        watcher.note("Ray was lost.")
        watcher.show([DONE])
        watcher.close()
    written = everything(parent)
    assert "Ray was lost." in written
    assert "accuracy 83.3 %" in written
