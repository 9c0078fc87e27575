"""What a storm can hit, found from outside: processes by what /proc says of them, files by where the contract puts them."""

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path

from suite.running.runtimes.process import MARK


def marked(runs: Path) -> list[int]:
    """Every process of a job in this runs folder."""
    mark = f"{MARK}={runs.absolute()}/".encode()
    return [pid for pid in _all() if any(part.startswith(mark) for part in _read(pid, "environ").split(b"\0"))]


def supervisors(runs: Path) -> list[int]:
    """The Ray workers that watch the jobs: parents of their first processes."""
    mine = set(marked(runs))
    return sorted({parent for pid in mine if (parent := _parent(pid)) not in mine and parent > 1})


def daemons(driver: int, name: str) -> list[int]:
    """Ray's daemons of this name that the driver has started."""
    return [pid for pid in _all() if _parent(pid) == driver and _read(pid, "comm").strip() == name.encode()]


def attempts(runs: Path) -> Iterator[Path]:
    """The folders of attempts that have not ended."""
    for path in runs.glob("*/attempts/*"):
        if not (path / "ending.json").exists() and not (path.parents[1] / "result.json").exists():
            yield path


def send(pid: int, number: signal.Signals) -> bool:
    """Whether there still was such a process."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True


def _all() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def _read(pid: int, name: str) -> bytes:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/{name}").read_bytes()
    return b""


def _parent(pid: int) -> int:
    fields = _read(pid, "stat").rpartition(b")")[2].split()
    return int(fields[1]) if fields else 0
