"""MLflow behind a login on PostgreSQL, started by the script that the compose file's image starts."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest

from suite.provenance import SOURCE_ROOT
from tests.cluster.needs import require
from tests.faults.postgres import USER, Postgres
from tests.suite.board_fixture import write_runs
from tests.suite.command import Command
from tests.suite.mlflow_server import free_port
from tests.suite.recording.looking import chosen, everything, of_jobs

pytestmark = pytest.mark.cluster

PASSWORD, PATIENCE_S = "0123456789abcdef-admin", 120.0


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    require("pg_lsclusters")
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    for name in ("database_password", "session_key"):
        (secrets / name).write_text("0123456789abcdef")
    (secrets / "admin_password").write_text(PASSWORD)
    with tempfile.TemporaryDirectory() as folder:
        database, port = Postgres(Path(folder)), free_port()
        where = {"HOST": "127.0.0.1", "PORT": str(port), "ALLOWED_HOSTS": f"127.0.0.1:{port}", "WORKERS": "1"}
        where |= {"UNSMOOTH_SECRETS": str(secrets), "ARTIFACTS": str(tmp_path / "artifacts")}
        store = {"DATABASE_USER": USER, "DATABASE": f"127.0.0.1:{database.port}/mlflow"}
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        quiet = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
        with (tmp_path / "server.log").open("wb") as log:
            server = subprocess.Popen(
                [SOURCE_ROOT / "docker/tracking.sh"],
                env={**os.environ, **quiet, **where, **store, "PATH": path},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            yield until_it_answers(f"http://127.0.0.1:{port}", server, tmp_path / "server.log")
        finally:
            os.killpg(server.pid, signal.SIGKILL)
            server.wait()
            database.kill()


def until_it_answers(uri: str, server: "subprocess.Popen[bytes]", log: Path) -> str:
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            with urlopen(f"{uri}/health", timeout=5):
                return uri
        except (URLError, OSError):
            assert server.poll() is None and time.monotonic() < deadline, log.read_text()[-2000:]
            time.sleep(0.2)


def test_who_may_not_write_is_told_so_and_nothing_is_lost(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = tmp_path / "runs"
    ids = chosen(write_runs(runs))
    unsmooth = Command(tmp_path, tmp_path / "cache")
    record = ("record", "--runs", runs, "--tracking-uri", address)
    unsmooth.environment |= {"MLFLOW_TRACKING_USERNAME": "admin", "MLFLOW_TRACKING_PASSWORD": "wrong"}
    refused = unsmooth(*record)
    said = refused.stdout + refused.stderr
    assert refused.returncode == 1 and "MLflow refused the login (401)" in said
    assert "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD" in said and "wrong" not in said
    unsmooth.environment["MLFLOW_TRACKING_PASSWORD"] = PASSWORD
    done = unsmooth(*record)
    assert done.returncode == 0, done.stdout + done.stderr
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "admin")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", PASSWORD)
    assert set(ids) <= set(of_jobs(everything(address)))
    assert PASSWORD not in "".join(path.read_text(errors="ignore") for path in runs.rglob("*") if path.is_file())


def test_without_a_secret_the_server_says_which_one(tmp_path: Path) -> None:
    done = subprocess.run(
        [SOURCE_ROOT / "docker/tracking.sh"],
        env={**os.environ, "UNSMOOTH_SECRETS": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.startswith(f"{tmp_path}/database_password is missing or empty")
