"""The door to MLflow: copies finished jobs, and the board, from the runs folder to a tracking server.

What is on disk is the truth and MLflow its mirror, so recording may be late, interrupted or repeated: every job is
keyed by its id and the digest of its result, and ends up there exactly once. The copying runs in a child process
(`python -m suite.recording`): the driver imports no MLflow, a server that hangs is given up by ending the
child, and nothing that goes wrong in there can slow or fail a run.
"""

import dataclasses
import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from jobs.contract import JobFolder
from suite.masking import masked

GIVE_UP_S = 300.0
"""Silence after which a recording is given up as a whole; what was recorded by then stays recorded."""

_ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",  # it costs a request
    "DO_NOT_TRACK": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",  # [s]
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",  # a request sent twice may create a run twice: whole jobs are retried
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "OMP_NUM_THREADS": "1",
    "MPLBACKEND": "Agg",
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Summary:
    """What became of each job (or of the board, under its plan's name)."""

    recorded: tuple[str, ...] = ()
    present: tuple[str, ...] = ()  # were there already, unchanged
    missing: Mapping[str, str] = dataclasses.field(default_factory=dict)  # not recorded, and why

    def sentence(self) -> str:
        """One line for the terminal."""
        text = f"{len(self.recorded)} recorded, {len(self.present)} already there"
        if not self.missing:
            return f"{text}."
        reasons = " ".join(dict.fromkeys(self.missing.values()))
        return f"{text}, {len(self.missing)} not recorded: {reasons} Run the same command again to complete the record."


def default_uri(runs: Path) -> str:
    """An SQLite file in the runs folder; artefacts lie beside it in `mlruns/`."""
    return f"sqlite:///{runs.resolve() / 'mlflow.db'}"


def save(runs: Path, ids: Sequence[str], tracking_uri: str, *, give_up_s: float = GIVE_UP_S) -> Summary:
    """Record the finished ones among the jobs `ids`; those without a result are passed over.

    A server that refuses, hangs or is not there is no exception: what was not recorded is in the summary.
    """
    finished = [name for name in dict.fromkeys(ids) if JobFolder(runs / name).result.exists()]
    if not finished:
        return Summary()
    return _ask({**_request(runs, tracking_uri, give_up_s), "ids": finished}, expected=finished)


def publish(
    runs: Path, files: Sequence[Path], tracking_uri: str, *, name: str, give_up_s: float = GIVE_UP_S
) -> Summary:
    """Keep the board of the plan `name` as one MLflow run whose artefacts are `files`, replacing an older one."""
    board = {"name": name, "files": [str(path.resolve()) for path in files]}
    return _ask({**_request(runs, tracking_uri, give_up_s), "board": board}, expected=[name])


@contextmanager
def following(runs: Path, ids: Sequence[str], tracking_uri: str) -> Iterator[None]:
    """Record jobs as they finish, at low priority, while the body runs; afterwards `save` records the rest."""
    request = {**_request(runs, tracking_uri, None), "ids": list(ids), "follow": True}
    child = _start(request, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        child.kill()  # whatever it was in the middle of is replaced by `save`
        child.wait()


def _request(runs: Path, tracking_uri: str, give_up_s: float | None) -> dict[str, Any]:
    return {"runs": str(runs.resolve()), "uri": tracking_uri, "give_up_s": give_up_s, "driver": os.getpid()}


def _ask(request: Mapping[str, Any], *, expected: Sequence[str]) -> Summary:
    said: list[str] = []
    with (
        tempfile.TemporaryFile("w+") as complaints,
        _start(request, stdout=subprocess.PIPE, stderr=complaints) as child,
    ):
        try:
            for line in _lines(child, request["give_up_s"]):
                said.append(line)
            child.wait(timeout=request["give_up_s"])
            complaints.seek(0)
            why = f"Recording ended early ({_last_line(complaints.read()) or f'exit {child.returncode}'})."
        except subprocess.TimeoutExpired:
            why = f"MLflow did not answer for {request['give_up_s']:g} s."
        finally:
            child.kill()
    return _summary(said, expected, why)


def _lines(child: "subprocess.Popen[str]", silence_s: float) -> Iterator[str]:
    """What the child says, until it ends.

    Raises:
        TimeoutExpired: it said nothing for `silence_s`.
    """
    arrived: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    threading.Thread(target=_pump, args=(child, arrived), daemon=True).start()
    while True:
        try:
            line = arrived.get(timeout=silence_s)
        except queue.Empty:
            raise subprocess.TimeoutExpired(child.args, silence_s) from None
        if line is None:
            return
        yield line


def _pump(child: "subprocess.Popen[str]", arrived: "queue.SimpleQueue[str | None]") -> None:
    assert child.stdout is not None
    with child.stdout:
        for line in child.stdout:
            arrived.put(line)
    arrived.put(None)


def _start(request: Mapping[str, Any], *, stdout: int, stderr: int | IO[str]) -> "subprocess.Popen[str]":
    """The child, in a session of its own so that Ctrl-C reaches only the driver."""
    with tempfile.TemporaryFile("w+") as file:
        json.dump(request, file)
        file.seek(0)
        return subprocess.Popen(
            [sys.executable, "-m", "suite.recording"],
            stdin=file,
            stdout=stdout,
            stderr=stderr,
            text=True,
            start_new_session=True,
            env={**os.environ, **_ENVIRONMENT},
        )


def _summary(said: Sequence[str], expected: Sequence[str], why: str) -> Summary:
    """Read the child's lines; jobs it said nothing about are missing for the reason `why`."""
    outcomes = [json.loads(line) for line in said if line.startswith("{") and line.endswith("}\n")]
    named = {outcome["name"] for outcome in outcomes}
    return Summary(
        recorded=tuple(outcome["name"] for outcome in outcomes if outcome["outcome"] == "recorded"),
        present=tuple(outcome["name"] for outcome in outcomes if outcome["outcome"] == "present"),
        missing={outcome["name"]: outcome["reason"] for outcome in outcomes if outcome["outcome"] == "missing"}
        | {name: why for name in expected if name not in named},
    )


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return masked(lines[-1][:300]) if lines else ""
