"""Runs jobs in processes forked off one that has imported what tasks need: a second for each instead of five or more.

The forked process runs `python -m jobs JOB_DIR` as the suite starts it; several processes find each other by the
variables that torchrun sets.
"""

import dataclasses
import multiprocessing
import os
import runpy
import socket
import sys
import time
from collections.abc import Sequence
from multiprocessing.context import ForkServerProcess
from pathlib import Path

from jobs.contract import JobFolder

_TICK_S = 0.05


@dataclasses.dataclass(frozen=True)
class Ended:
    """How a job's processes ended; the code is None if they were killed for taking too long."""

    code: int | None
    said: str


def run(folder: JobFolder, *, processes: int, limit_s: float) -> Ended:
    """Run the job in `folder`; the first process that fails ends the others."""
    log = folder.root / "log.txt"
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["jobs.check.warm"])  # heeded once, before the first job
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    places = _places(processes, _free_port())
    started = [context.Process(target=_job, args=(str(folder.root), str(log), place)) for place in places]
    for process in started:
        process.start()
    try:
        code = _code(started, time.monotonic() + limit_s)
    finally:
        for process in started:
            process.kill()
            process.join()
    return Ended(code, log.read_text(encoding="utf-8", errors="replace") if log.exists() else "")


def _code(started: Sequence[ForkServerProcess], deadline: float) -> int | None:
    while time.monotonic() < deadline:
        codes = [process.exitcode for process in started]
        if failed := [code for code in codes if code]:
            return failed[0]
        if all(code == 0 for code in codes):
            return 0
        time.sleep(_TICK_S)
    return None


def _places(processes: int, port: int) -> list[dict[str, str]]:
    """What torchrun tells each process; a job of one process needs none of it."""
    if processes == 1:
        return [{}]
    common = {"WORLD_SIZE": str(processes), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    return [common | {"RANK": str(rank), "LOCAL_RANK": str(rank)} for rank in range(processes)]


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _job(root: str, log: str, place: dict[str, str]) -> None:
    """In the forked process: say everything into `log` and be `python -m jobs`."""
    os.environ.update(place)
    with Path(log).open("ab", buffering=0) as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    sys.argv = ["jobs", root]
    runpy.run_module("jobs", run_name="__main__", alter_sys=True)
