"""The child process of `suite.recording.record`: a request comes on stdin as JSON, one line per job goes to stdout."""

import fcntl
import json
import os
import signal
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mlflow.exceptions import MlflowException

from jobs.contract import ContractError, JobFolder
from suite.masking import masked
from suite.recording.mirror import Mirror

RETRY_AFTER_S = 1.0
FAILURES_TO_GIVE_UP = 2
"""Jobs in a row that failed twice each: the server is not well, leave it alone."""

POLL_S = 3.0

ServerError = (MlflowException, OSError)  # requests' exceptions are OSErrors


def _say(name: str, outcome: str, reason: str | None = None) -> None:
    print(json.dumps({"name": name, "outcome": outcome, "reason": reason}), flush=True)


def record(mirror: Mirror, names: Sequence[str]) -> set[str]:
    """Record jobs one by one; give up when the server looks unwell. Returns which are there now."""
    there: set[str] = set()
    failed, problem = 0, ""
    for name in names:
        if failed >= FAILURES_TO_GIVE_UP:
            _say(name, "missing", problem)
            continue
        outcome, said = _attempt(mirror, name)
        _say(name, outcome, said)
        if outcome == "missing":
            failed, problem = failed + 1, said
        else:
            failed = 0
            there.add(name)
    return there


def _attempt(mirror: Mirror, name: str) -> tuple[str, str]:
    """Two tries, the second with a fresh look at what arrived."""
    problem = ""
    for pause_s in (RETRY_AFTER_S, 0.0):
        try:
            return ("recorded" if mirror.job(name) else "present"), ""
        except ContractError as error:
            return "missing", str(error)
        except ServerError as error:
            problem = _problem(error)
            mirror.forget()
            time.sleep(pause_s)
    return "missing", problem


def _problem(error: Exception) -> str:
    lines = str(error).splitlines() or [type(error).__name__]
    return f"MLflow: {masked(lines[0])[:200]}."


def follow(request: Mapping[str, Any]) -> None:
    """Record results as they appear, as long as the driver lives, at a tenth of a core at most."""
    os.nice(10)
    runs, waiting, pause_s = Path(request["runs"]), list(request["ids"]), POLL_S
    while os.getppid() == request["driver"]:
        finished = [name for name in waiting if JobFolder(runs / name).result.exists()]
        began = time.monotonic()
        if finished:
            there = _locked_record(request, finished, summarise=False)
            waiting = [name for name in waiting if name not in there]
            pause_s = max(POLL_S, 10 * (time.monotonic() - began)) if there else min(60.0, 2 * pause_s)
        until = time.monotonic() + pause_s
        while time.monotonic() < until and os.getppid() == request["driver"]:
            time.sleep(0.5)


def _locked_record(request: Mapping[str, Any], names: Sequence[str], *, summarise: bool = True) -> set[str]:
    """Write as the only writer of this runs folder: a child whose driver was killed may still be at it."""
    with _only_writer(request):
        there: set[str] = set()
        try:
            mirror = Mirror(Path(request["runs"]), request["uri"])
            there = record(mirror, names)
            if summarise:
                mirror.summarise(sorted(there))
        except ServerError as error:
            for name in sorted(set(names) - there) or ["means over seeds"]:
                _say(name, "missing", _problem(error))
        return there


def _publish(request: Mapping[str, Any]) -> None:
    board = request["board"]
    files = [Path(file) for file in board["files"]]
    with _only_writer(request):
        try:
            new = Mirror(Path(request["runs"]), request["uri"]).board(board["name"], files)
            _say(board["name"], "recorded" if new else "present")
        except ServerError as error:
            _say(board["name"], "missing", _problem(error))


@contextmanager
def _only_writer(request: Mapping[str, Any]) -> Iterator[None]:
    with (Path(request["runs"]) / ".recording.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def main() -> None:
    """Do what the request on stdin says."""
    request = json.load(sys.stdin)
    if request["give_up_s"] is not None:
        signal.alarm(int(request["give_up_s"]) + 5)  # the driver ends this process sooner, if it is still there
    if request.get("follow"):
        follow(request)
    elif "board" in request:
        _publish(request)
    else:
        _locked_record(request, request["ids"])


if __name__ == "__main__":
    main()
