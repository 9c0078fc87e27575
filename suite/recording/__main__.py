"""The child process of `suite.recording.record`: a request comes on stdin as JSON, one line per job goes to stdout."""

import fcntl
import json
import os
import random
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
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

POLL_S, ORPHANED_S = 3.0, 1.0

ServerError = (MlflowException, OSError)  # requests' exceptions are OSErrors

REFUSED = {
    401: "MLflow refused the login (401): set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD to an account "
    "of that server.",
    403: "MLflow does not let this account write (403): its administrator can grant MANAGE on the experiments called "
    "unsmooth/..., or set default_permission = MANAGE.",
}
"""What no second try can change."""


def _say(name: str, outcome: str, reason: str | None = None) -> None:
    print(json.dumps({"name": name, "outcome": outcome, "reason": reason}), flush=True)


class Patience:
    """Tries everything twice, until the server looks unwell. Shared by threads."""

    def __init__(self, mirror: Mirror) -> None:
        self.mirror = mirror
        self._failed, self._problem = 0, ""
        self._lock = threading.Lock()

    def attempt(self, work: Callable[[], bool]) -> tuple[str, str]:
        """The outcome of `work`, and the reason where it is missing; the second try has a fresh look."""
        if self._failed >= FAILURES_TO_GIVE_UP:
            return "missing", self._problem
        problem = ""
        for pause_s in (RETRY_AFTER_S, 0.0):
            try:
                outcome = "recorded" if work() else "present"
            except ContractError as error:
                return "missing", str(error)
            except ServerError as error:
                problem = _problem(error)
                self.mirror.forget()
                if problem in REFUSED.values():
                    break
                time.sleep(pause_s)
            else:
                self._note(0, "")
                return outcome, ""
        self._note(FAILURES_TO_GIVE_UP if problem in REFUSED.values() else self._failed + 1, problem)
        return "missing", problem

    def _note(self, failed: int, problem: str) -> None:
        with self._lock:
            self._failed, self._problem = failed, problem or self._problem


def _problem(error: Exception) -> str:
    status = getattr(getattr(error, "response", None), "status_code", None)
    if isinstance(error, MlflowException):
        status = error.get_http_status_code()  # type: ignore[no-untyped-call]
    if status in REFUSED:
        return REFUSED[status]
    lines = str(error).splitlines() or [type(error).__name__]
    return f"MLflow: {masked(lines[0])[:200]}."


def record(mirror: Mirror, names: Sequence[str], *, threads: int = 1) -> set[str]:
    """Record jobs, several at a time; give up when the server looks unwell. Returns which are there now."""
    patience, there = Patience(mirror), set()

    def one(name: str) -> tuple[str, str]:
        return patience.attempt(lambda: mirror.job(name))

    with ThreadPoolExecutor(threads) as pool:
        for name, (outcome, said) in zip(names, pool.map(one, names), strict=True):
            _say(name, outcome, said)
            if outcome != "missing":
                there.add(name)
    return there


def summarise(mirror: Mirror, names: set[str]) -> None:
    """Bring the parents of these jobs up to date, and end what was left open."""
    patience = Patience(mirror)

    def one(row: tuple[str, str, str]) -> tuple[str, str]:
        return patience.attempt(lambda: mirror.summarise(*row))

    rows = mirror.stale_rows(sorted(names))
    with ThreadPoolExecutor(mirror.server.threads) as pool:
        for row, (outcome, said) in zip(rows, pool.map(one, rows), strict=True):
            _say(f"means of {row[2]}", "missing" if outcome == "missing" else "summarised", said)
    mirror.close()


def follow(request: Mapping[str, Any]) -> None:
    """Record results as they appear, as long as the driver lives, at a tenth of a core at most."""
    os.nice(10)
    runs, waiting, pause_s = Path(request["runs"]), list(request["ids"]), POLL_S
    while os.getppid() == request["driver"]:
        finished = [name for name in waiting if JobFolder(runs / name).result.exists()]
        began = time.monotonic()
        if finished:
            there = _locked_record(request, finished, whole=False)
            waiting = [name for name in waiting if name not in there]
            pause_s = max(POLL_S, 10 * (time.monotonic() - began)) if there else min(60.0, 2 * pause_s)
        until = time.monotonic() + pause_s
        while time.monotonic() < until and os.getppid() == request["driver"]:
            time.sleep(0.5)


def _locked_record(request: Mapping[str, Any], names: Sequence[str], *, whole: bool = True) -> set[str]:
    """Write as the only writer of this runs folder: a child whose driver was killed may still be at it."""
    with _only_writer(request):
        there: set[str] = set()
        try:
            mirror = Mirror(Path(request["runs"]), request["uri"])
            there = record(mirror, names, threads=mirror.server.threads if whole else 1)
            if whole and there:
                summarise(mirror, there)
        except ServerError as error:
            for name in sorted(set(names) - there) or ["means over seeds"]:
                _say(name, "missing", _problem(error))
        return there


def _publish(request: Mapping[str, Any]) -> None:
    board = request["board"]
    files = [Path(file) for file in board["files"]]
    with _only_writer(request):
        try:
            mirror = Mirror(Path(request["runs"]), request["uri"])
            _say(board["name"], *Patience(mirror).attempt(lambda: mirror.board(board["name"], files)))
        except ServerError as error:
            _say(board["name"], "missing", _problem(error))


@contextmanager
def _only_writer(request: Mapping[str, Any]) -> Iterator[None]:
    with (Path(request["runs"]) / ".recording.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _end_with(driver: int) -> None:
    """Leave the folder to the next command as soon as nobody listens any more."""
    while os.getppid() == driver:
        time.sleep(ORPHANED_S)
    os._exit(1)


def main() -> None:
    """Do what the request on stdin says."""
    request = json.load(sys.stdin)
    threading.Thread(target=_end_with, args=(request["driver"],), daemon=True).start()
    if request.get("follow"):
        follow(request)
    elif "board" in request:
        _publish(request)
    else:
        ids = list(request["ids"])
        random.shuffle(ids)  # recorders on several machines rarely meet at the same job
        _locked_record(request, ids)


if __name__ == "__main__":
    main()
