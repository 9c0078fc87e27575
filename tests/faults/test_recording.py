"""MLflow and its database die and come back while jobs are recorded: in the end everything is there once."""

import os
import random
import tempfile
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from jobs.contract import JobFolder
from suite.recording import record
from tests.cluster.needs import require
from tests.faults.postgres import Postgres
from tests.suite.board_fixture import write_runs
from tests.suite.command import Command
from tests.suite.mlflow_server import Server
from tests.suite.recording.looking import everything, of_jobs

pytestmark = pytest.mark.cluster

KILLS = 4
PATIENCE_S = 60.0


@pytest.fixture
def database() -> Iterator[Postgres]:
    require("pg_lsclusters")
    if find_spec("psycopg") is None:
        (pytest.fail if os.environ.get("UNSMOOTH_CLUSTER") else pytest.skip)("It needs the package psycopg[binary].")
    with tempfile.TemporaryDirectory() as folder:
        made = Postgres(Path(folder))
        yield made
        made.kill()


@pytest.fixture
def server(database: Postgres, tmp_path: Path) -> Iterator[Server]:
    made = Server(tmp_path, store=database.uri)
    made.start()
    yield made
    made.kill()


def test_jobs_recorded_while_mlflow_and_its_database_die_are_there_once(
    database: Postgres, server: Server, tmp_path: Path
) -> None:
    runs, dice = tmp_path / "runs", random.Random(13)
    ids = [job.id for job in write_runs(runs).jobs if JobFolder(runs / job.id).result.exists()]
    victims = dice.sample([database, server] * KILLS, 2 * KILLS)[:KILLS]
    for victim in victims:
        with record.following(runs, ids, server.uri):  # what the driver does
            until_more_is_there(database)
            time.sleep(dice.uniform(0.0, 0.3))
            victim.kill()
            time.sleep(dice.uniform(0.5, 1.5))
        victim.start()
    assert database.count("runs") < len(ids)  # or it died too late to do any harm
    done = Command(tmp_path, tmp_path / "cache")("record", "--runs", runs, "--tracking-uri", server.uri)
    assert done.returncode == 0, done.stderr
    recorded = everything(server.uri)
    assert sorted(of_jobs(recorded)) == sorted(ids)
    assert {run.info.status for run in recorded} <= {"FINISHED", "FAILED"}
    assert all(run.data.tags["unsmooth.recorded"] for run in recorded)


def until_more_is_there(database: Postgres) -> None:
    before, deadline = database.count("runs"), time.monotonic() + PATIENCE_S
    while database.count("runs") <= before:
        assert time.monotonic() < deadline, "Nothing was recorded."
        time.sleep(0.05)
