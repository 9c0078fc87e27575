"""A server that dies and comes back, never answers, or is none."""

import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from suite.recording import record
from tests.suite.board_fixture import write_runs
from tests.suite.mlflow_server import Server
from tests.suite.recording.looking import chosen, everything, of_jobs


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    made = Server(tmp_path)
    made.start()
    yield made
    made.kill()


@pytest.mark.heavy
def test_a_server_that_dies_and_comes_back_ends_up_with_everything_once(server: Server, tmp_path: Path):
    runs = tmp_path / "runs"
    ids = chosen(write_runs(runs))
    assert record.save(runs, ids[:3], server.uri).sentence() == "3 recorded, 0 already there."
    page = tmp_path / "leaderboard.html"
    page.write_text("board")
    server.kill()
    summary = record.save(runs, ids, server.uri)
    assert (summary.recorded, summary.present) == ((), ())
    assert sorted(summary.missing) == sorted(ids)
    assert all(reason.startswith("MLflow: API request to http://127.0.0.1") for reason in summary.missing.values())
    server.start()
    assert record.save(runs, ids, server.uri).sentence() == "5 recorded, 3 already there."
    assert sorted(of_jobs(everything(server.uri))) == sorted(ids)
    assert record.publish(runs, [page], server.uri, name="smoke").recorded == ("smoke",)


def test_a_server_that_never_answers_is_given_up_in_time(tmp_path: Path):
    ids = chosen(write_runs(tmp_path))
    with socket.create_server(("127.0.0.1", 0)) as silent:
        began = time.monotonic()
        summary = record.save(tmp_path, ids, f"http://127.0.0.1:{silent.getsockname()[1]}", give_up_s=4)
        assert time.monotonic() - began < 8
    assert summary.missing == dict.fromkeys(ids, "MLflow did not answer for 4 s.")


def test_a_tracking_address_that_means_nothing_is_reported_and_not_raised(tmp_path: Path):
    ids = chosen(write_runs(tmp_path))[:1]
    summary = record.save(tmp_path, ids, "nonsense://nowhere")
    assert summary.recorded == ()
    assert "nonsense" in summary.missing[ids[0]]
