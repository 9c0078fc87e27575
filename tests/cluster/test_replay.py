"""Job folders replayed by real processes into a real server on PostgreSQL: at once, again, and after a SIGKILL."""

import fcntl
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from mlflow.entities import Run

from jobs.contract import JobFolder
from suite.provenance import SOURCE_ROOT
from suite.recording.layout import holder, identity
from tests.cluster.needs import require
from tests.faults.postgres import Postgres
from tests.suite.board_fixture import PLACES, write_runs
from tests.suite.mlflow_server import Server
from tests.suite.recording.looking import everything, of_jobs

pytestmark = pytest.mark.cluster

PATIENCE_S, SOME = 300.0, 5


@pytest.fixture(scope="module")
def database() -> Iterator[Postgres]:
    require("pg_lsclusters")
    with tempfile.TemporaryDirectory() as folder:
        made = Postgres(Path(folder))
        yield made
        made.kill()


@pytest.fixture(scope="module")
def server(database: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    made = Server(tmp_path_factory.mktemp("server"), store=database.uri)
    made.start()
    yield made
    made.kill()


def start(runs: Path, uri: str) -> "subprocess.Popen[bytes]":
    words = [sys.executable, "-m", "suite.cli", "record", "--runs", runs, "--tracking-uri", uri]
    environment = {**os.environ, "PYTHONPATH": str(SOURCE_ROOT)}
    return subprocess.Popen(words, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def finished(runs: Path, ids: Sequence[str]) -> list[str]:
    return sorted(name for name in ids if JobFolder(runs / name).result.exists())


def rows_of(recorded: Sequence[Run]) -> list[Run]:
    return [run for run in recorded if "unsmooth.row" in run.data.tags and "unsmooth.job_id" not in run.data.tags]


def expect_order(recorded: Sequence[Run]) -> None:
    """Every job once, below the one run of its row, and nothing open."""
    rows = {run.data.tags["unsmooth.row"]: run.info.run_id for run in rows_of(recorded)}
    assert len(rows) == len(rows_of(recorded))
    for run in of_jobs(list(recorded)).values():
        assert run.data.tags["mlflow.parentRunId"] == rows[run.data.tags["unsmooth.row"]]
        assert run.data.tags["unsmooth.recorded"]
    assert {run.info.status for run in recorded} <= {"FINISHED", "FAILED"}


def test_a_killed_replay_is_completed_by_the_next_one(database: Postgres, server: Server, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    ids = finished(runs, [job.id for job in write_runs(runs, places=PLACES[2:3]).jobs])
    victim, before = start(runs, server.uri), database.count("runs")
    deadline = time.monotonic() + PATIENCE_S
    while database.count("runs") < before + SOME:
        assert time.monotonic() < deadline and victim.poll() is None
        time.sleep(0.02)
    victim.send_signal(signal.SIGKILL)
    victim.wait()
    with (runs / ".recording.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # until its child has ended too
    left = everything(server.uri)
    assert "RUNNING" in {run.info.status for run in left}
    assert len(of_jobs(left)) < len(ids) or not all("unsmooth.recorded" in run.data.tags for run in left)
    assert start(runs, server.uri).wait(PATIENCE_S) == 0
    recorded = everything(server.uri)
    assert sorted(of_jobs(recorded)) == ids
    expect_order(recorded)


def test_three_machines_replay_at_once_and_again_without_doubles(server: Server, tmp_path: Path) -> None:
    mine, seen, yours = (tmp_path / name for name in ("mine", "seen", "yours"))
    ids = {job.id for job in write_runs(mine, places=PLACES[3:4]).jobs}
    identity(mine)
    seen.mkdir()
    for entry in mine.iterdir():
        (seen / entry.name).symlink_to(entry)  # the same folder, where the lock of the other machine does not hold
    ids |= {job.id for job in write_runs(yours, seeds=(1, 2), places=PLACES[3:4]).jobs}  # seed 1 is there twice
    for _ in range(2):
        processes = [start(runs, server.uri) for runs in (mine, seen, yours)]
        assert [process.wait(PATIENCE_S) for process in processes] == [0, 0, 0]
    recorded = [run for run in everything(server.uri) if run.data.params.get("data") == "karate" or is_board(run)]
    assert sorted(of_jobs(recorded)) == sorted(ids)
    expect_order(recorded)
    assert {run.data.metrics["board/seeds"] for run in rows_of(recorded)} == {3}
    shared = [run for run in of_jobs(recorded).values() if run.data.params["seed"] == "1"]
    assert all({holder(mine), holder(yours)} <= run.data.tags.keys() for run in shared)
    boards = [run for run in recorded if is_board(run)]
    assert [sum(holder(runs) in run.data.tags for run in boards) for runs in (mine, yours)] == [1, 1]


def is_board(run: Run) -> bool:
    return "unsmooth.board" in run.data.tags
