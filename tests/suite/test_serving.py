"""`unsmooth ui`: two addresses that answer, and nothing left when it is stopped."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from tests.suite.board_fixture import write_runs
from tests.suite.command import Command
from tests.suite.mlflow_server import free_port

pytestmark = pytest.mark.slow


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    folder = tmp_path / "runs"
    write_runs(folder)
    return folder


def started(runs: Path, port: int, *options: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "suite.cli", "ui", "--runs", str(runs), "--port", str(port), *options]
    environment = {name: value for name, value in os.environ.items() if name != "MLFLOW_TRACKING_URI"}
    return subprocess.Popen(command, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def lines(process: "subprocess.Popen[str]") -> list[str]:
    assert process.stdout is not None
    return [process.stdout.readline().strip() for _ in range(3)]


def refused(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_board_and_mlflow_are_served_until_they_are_stopped(runs: Path, number: signal.Signals) -> None:
    (runs / "mlflow.db").touch()
    port = free_port()
    process = started(runs, port)
    assert lines(process) == [
        f"Leaderboard: http://127.0.0.1:{port + 1}/",
        f"MLflow: http://127.0.0.1:{port}/",
        "Stop both with Ctrl-C.",
    ]
    with urlopen(f"http://127.0.0.1:{port + 1}/") as answer:
        assert answer.read() == (runs / "leaderboard.html").read_bytes()
    with pytest.raises(HTTPError, match="404"):
        urlopen(f"http://127.0.0.1:{port + 1}/plans/smoke.json")
    with urlopen(f"http://127.0.0.1:{port}/") as answer:
        assert b"MLflow" in answer.read()
    process.send_signal(number)
    output, errors = process.communicate(timeout=60)
    assert (process.returncode, output, errors) == (0, "Stopped.\n", "")
    assert refused(port) and refused(port + 1)


def test_a_server_that_runs_elsewhere_is_named_and_not_started(runs: Path) -> None:
    port = free_port()
    process = started(runs, port, "--tracking-uri", "http://me:secret@tracking:5000")
    assert lines(process)[1] == "MLflow: http://***@tracking:5000"
    assert refused(port)
    process.terminate()
    assert process.wait(timeout=60) == 0


def test_a_port_that_is_taken_and_a_folder_without_record_are_said(runs: Path, tmp_path: Path) -> None:
    unsmooth = Command(tmp_path, tmp_path / "cache")
    done = unsmooth("ui", "--runs", runs)
    assert done.returncode == 2 and "has been recorded yet. `unsmooth record --runs" in " ".join(done.stderr.split())
    (runs / "mlflow.db").touch()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = unsmooth("ui", "--runs", runs, "--port", str(taken.getsockname()[1]))
    assert done.returncode == 2 and "Give another --port or --host." in done.stderr
