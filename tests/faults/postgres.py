"""A real PostgreSQL on loopback that can be killed and started again on the same port and data."""

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

from tests.suite.mlflow_server import free_port

USER = "postgres"
_PATIENCE_S = 60.0


class Postgres:
    """One cluster in a folder that its user may enter; PostgreSQL refuses to run as root."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.uri = f"postgresql+psycopg://{USER}@127.0.0.1:{self.port}/mlflow"
        self._process: subprocess.Popen[bytes] | None = None
        shutil.chown(folder, USER, USER)
        self._run("initdb", "--pgdata", self._data, "--auth", "trust", "--no-locale", "--encoding", "UTF8")
        self.start()
        self._run("createdb", *self._where, "mlflow")

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    @property
    def _where(self) -> list[str]:
        return ["--host", "127.0.0.1", "--port", str(self.port)]

    def start(self) -> None:
        """Until it answers. Processes of one that was killed may hold its memory a little longer: try again."""
        deadline = time.monotonic() + _PATIENCE_S
        while not self._answers():
            if time.monotonic() > deadline:
                raise TimeoutError(f"PostgreSQL did not start; see {self._log}.")
            if self._process is None or self._process.poll() is not None:
                self._process = self._launch()
            time.sleep(0.1)

    def kill(self) -> None:
        """What a power cut does to the server; its backends see that it is gone and end."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
            self._process = None

    def count(self, table: str) -> int:
        """How many rows there are."""
        question = [program("psql"), *self._where, "--username", USER, "--tuples-only", "--command"]
        asked = subprocess.run([*question, f"select count(*) from {table}", "mlflow"], capture_output=True, check=True)
        return int(asked.stdout)

    @property
    def _log(self) -> Path:
        return self.folder / "log.txt"

    def _launch(self) -> "subprocess.Popen[bytes]":
        listening = ["-c", "listen_addresses=127.0.0.1", "-p", str(self.port), "-k", str(self.folder)]
        with self._log.open("ab") as log:
            return subprocess.Popen(
                [program("postgres"), "-D", str(self._data), *listening],
                user=USER,
                group=USER,
                extra_groups=[],
                cwd=self.folder,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def _answers(self) -> bool:
        ready = [program("pg_isready"), "--quiet", *self._where]
        return self._process is not None and subprocess.run(ready, check=False).returncode == 0

    def _run(self, name: str, *words: str | Path) -> None:
        command = [program(name), *map(str, words)]
        subprocess.run(
            command, user=USER, group=USER, extra_groups=[], cwd=self.folder, check=True, stdout=subprocess.DEVNULL
        )


def program(name: str) -> str:
    """Where Debian keeps the newest version; only some of its programs are on the path."""
    versions = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: float(path.parts[4]))
    found = str(versions[-1]) if versions else shutil.which(name)
    if found is None or not os.access(found, os.X_OK):
        raise FileNotFoundError(f"PostgreSQL's {name} is not installed; on Debian the package `postgresql` brings it.")
    return found
