"""The board's page and MLflow's own interface, on two neighbouring ports, until somebody stops them."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from suite.errors import RecordError, UsageError

_START_S, _TICK_S = 120.0, 0.2
_QUIET = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}


class _Page(BaseHTTPRequestHandler):
    """One file, as it is when it is asked for; nothing else of the folder can be reached."""

    def __init__(self, path: Path, *arguments: object) -> None:
        self.file = path
        super().__init__(*arguments)  # type: ignore[arg-type]  # request, address and server, as the server gives them

    def do_GET(self) -> None:
        if self.path.partition("?")[0] != "/":
            self.send_error(404)
            return
        body = self.file.read_bytes()
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:
        """Say nothing: the terminal holds the two addresses."""


@contextmanager
def page(path: Path, host: str, port: int) -> Iterator[str]:
    """Serve the page at `path` while inside; gives its address.

    Raises:
        UsageError: the port is taken.
    """
    expect_free(host, port)
    server = ThreadingHTTPServer((host, port), partial(_Page, path))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://{host}:{port}/"
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def mlflow(store: str, host: str, port: int) -> Iterator["subprocess.Popen[bytes]"]:
    """Run MLflow's server on the database `store` while inside; it answers once this is entered.

    Raises:
        UsageError: the port is taken.
        RecordError: the server ended or did not answer.
    """
    expect_free(host, port)
    where = ["--host", host, "--port", str(port), "--workers", "1"]
    command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", store, *where]
    process = subprocess.Popen(
        command, env=os.environ | _QUIET, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        _wait(process, f"http://{host}:{port}/health")
        yield process
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def expect_free(host: str, port: int) -> None:
    """Raises UsageError where somebody else listens."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            said = error.strerror or str(error)
            raise UsageError(f"{host}:{port} cannot be served: {said}. Give another --port or --host.") from error


def _wait(process: "subprocess.Popen[bytes]", address: str) -> None:
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RecordError(f"MLflow's server ended with exit code {process.returncode}; `mlflow server` says why.")
        try:
            with urlopen(address, timeout=5):
                return
        except (URLError, OSError):
            time.sleep(_TICK_S)
    raise RecordError(f"MLflow's server did not answer within {_START_S:g} s at {address}.")
