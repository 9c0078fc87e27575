"""Examines one variant in a process of its own, with a time limit and, where the system allows, without a network."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import jobs.contract
from suite.errors import UsageError
from suite.running.runtimes import leash

_ROOT = Path(jobs.contract.__file__).parents[1]


@dataclasses.dataclass(frozen=True)
class Finding:
    """What one check found."""

    check: str
    status: Literal["pass", "fail", "n/a"]
    reason: str
    seconds: float


class Examination:
    """`python -m jobs.check` on one variant; iterating gives its findings as they come.

    Raises, while iterating:
        UsageError: there is no such variant, or its file is broken.
    """

    def __init__(self, variant: str, *, quick: bool, limit_s: float) -> None:
        self.network = True
        """Whether the variant's code could reach a network; known with the first finding."""
        self._limit_s = limit_s
        python = [sys.executable, "-m", "jobs.check.alone", variant, *(["--quick"] if quick else [])]
        tie = [sys.executable, "-I", "-S", leash.__file__, str(os.getpid()), str(int(signal.SIGKILL))]
        self._command = [*tie, *python]  # it ends with this process, however that dies
        self._overdue = False

    def __iter__(self) -> Iterator[Finding]:
        environment = os.environ | {"PYTHONPATH": str(_ROOT), "PYTHONWARNINGS": "ignore", "OMP_NUM_THREADS": "1"}
        with subprocess.Popen(
            self._command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        ) as child:
            said: list[str] = []
            listener = threading.Thread(target=lambda: said.extend(child.stderr or ()), daemon=True)
            watch = threading.Timer(self._limit_s, self._end, [child])
            listener.start()
            watch.start()
            try:
                yield from self._read(child)
            finally:
                watch.cancel()
                _kill(child)
            listener.join(timeout=5)
        yield from self._ending(child.returncode, said)

    def _read(self, child: "subprocess.Popen[str]") -> Iterator[Finding]:
        for line in child.stdout or ():
            found = json.loads(line)
            if "problem" in found:
                raise UsageError(found["problem"])
            if "network" in found:
                self.network = found["network"]
            else:
                yield Finding(**found)
        child.wait()

    def _ending(self, code: int, said: list[str]) -> Iterator[Finding]:
        if self._overdue:
            reason = f"the checks did not end within {self._limit_s:g} s; --time-limit gives them more"
            yield Finding("time limit", "fail", reason, self._limit_s)
        elif code != 0:
            last = said[-1].strip() if said else "nothing was said"
            yield Finding("process", "fail", f"it ended with exit code {code}: {last}", 0.0)

    def _end(self, child: "subprocess.Popen[str]") -> None:
        self._overdue = True
        _kill(child)


def _kill(child: "subprocess.Popen[str]") -> None:
    """End the child with everything that it has started."""
    try:
        os.killpg(child.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
