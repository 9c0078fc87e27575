"""One driver per runs folder: a lock that ends with the process that holds it, however that ends."""

import contextlib
import fcntl
import os
import socket
from collections.abc import Iterator
from io import FileIO
from pathlib import Path

from suite.errors import UsageError

_NAME = ".lock"


@contextlib.contextmanager
def hold(runs: Path) -> Iterator[None]:
    """Hold `runs`, made if need be, while the block runs.

    Raises:
        UsageError: the folder cannot be written, or another driver works in it.
    """
    try:
        runs.mkdir(parents=True, exist_ok=True)
        file = (runs / _NAME).open("ab", buffering=0)
    except OSError as error:
        raise _unwritable(runs, error) from error
    with file:
        _lock(file.fileno(), runs)
        _sign(file, runs)
        yield


def held(runs: Path) -> bool:
    """Whether a driver works in `runs` at this moment."""
    try:
        file = (runs / _NAME).open("rb")
    except OSError:
        return False
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def _sign(file: FileIO, runs: Path) -> None:
    """Say who holds the lock."""
    try:
        file.truncate(0)
        file.write(f"process {os.getpid()} on {socket.gethostname()}\n".encode())
    except OSError as error:
        raise _unwritable(runs, error) from error


def _unwritable(runs: Path, error: OSError) -> UsageError:
    return UsageError(f"The runs folder {runs} cannot be written: {error.strerror}. Choose another one with --runs.")


def _lock(descriptor: int, runs: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        holder = (runs / _NAME).read_text(encoding="utf-8").strip() or "another process"
        raise UsageError(
            f"A run is going on in {runs} ({holder}). Wait for it, stop it, or choose another folder with --runs."
        ) from error
    except OSError as error:
        raise UsageError(
            f"The runs folder {runs} cannot be locked: {error.strerror}. Choose one on a file system with locks."
        ) from error
