"""Ray's daemons on this machine: whether they live, and a way out for a command that Ray will not let go.

Without its head, a call to Ray waits for 60 s and then ends the whole process with exit code 1 and a stack of C++.
Such a call may just have begun when the head died, so a thread looks as well: it ends the process sooner, with one
message and the exit code that means "run the same command again".
"""

import contextlib
import os
import select
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from suite.errors import ClusterError

_NAMES = ("raylet", "gcs_server")

LET_GO_S = 20.0
"""Seconds that a command is given to notice by itself that Ray is gone, and to start it again."""

_LOOK_S = 0.5


class Daemons:
    """Processes that are watched until `close`; with none to watch, nothing is ever lost."""

    def __init__(self, pids: Sequence[int] = (), *, all_there: bool = True) -> None:
        self._files: list[int] = []
        self._all_there = all_there
        for pid in pids:
            try:
                self._files.append(os.pidfd_open(pid))
            except ProcessLookupError:
                self._all_there = False
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="daemons", daemon=True)
        if self:
            self._thread.start()

    @classmethod
    def mine(cls) -> "Daemons":
        """Those that Ray has just started as children of this process; one that is not there has ended already."""
        found = {}
        for stat in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):  # ended meanwhile
                name, _, rest = stat.read_text(encoding="utf-8").partition("(")[2].rpartition(")")
                if name in _NAMES and int(rest.split()[1]) == os.getpid():
                    found[name] = int(stat.parent.name)
        return cls(list(found.values()), all_there=len(found) == len(_NAMES))

    def __bool__(self) -> bool:
        return bool(self._files) or not self._all_there

    def lost(self) -> bool:
        """Whether one of them has ended."""
        poll = select.poll()
        for file in self._files:
            poll.register(file, select.POLLIN)
        return not self._all_there or bool(poll.poll(0))

    def close(self) -> None:
        """Stop watching."""
        self._closed.set()
        if self:
            self._thread.join()
        for file in self._files:
            os.close(file)
        self._files.clear()

    def _watch(self) -> None:
        while not self._closed.wait(_LOOK_S):
            if self.lost() and not self._closed.wait(LET_GO_S):
                print(
                    "\nRay was lost, and a call to it does not return."
                    " Finished jobs are safe: run the same command again to go on.",
                    file=sys.stderr,
                    flush=True,
                )
                os._exit(ClusterError.exit_code)
