"""A job's process: its own session, its own log, tied to its supervisor, and known again after a crash.

The attempt's folder keeps `process.json` (host, boot, process id, start time), and every process of the job carries
the folder's path in its environment, so that a later supervisor can end whatever an earlier one left behind.
"""

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

from jobs.contract import AttemptFolder, ContractError, read_json

MARK = "UNSMOOTH_ATTEMPT"
"""Environment variable that names the attempt's folder in each of the job's processes."""

_MACHINE = Path("/proc/vmstat")

_LEASH = Path(__file__).with_name("leash.py")


class Process:
    """A running command and all its descendants, which share its process group."""

    def __init__(self, popen: "subprocess.Popen[bytes]", argv: Sequence[str], oom_kills: int) -> None:
        self._popen = popen
        self._pidfd = os.pidfd_open(popen.pid)
        self.pid = popen.pid
        self.argv = tuple(argv)
        self.oom_kills_before = oom_kills
        self.machine_oom_kills_before = machine_oom_kills()

    @classmethod
    def start(
        cls,
        argv: Sequence[str],
        *,
        environment: Mapping[str, str],
        attempt: AttemptFolder,
        cwd: Path,
        death_signal: signal.Signals = signal.SIGKILL,
        node: int = 0,
    ) -> Self:
        """Start `argv` with its output in the node's log; the kernel sends it `death_signal` if this thread ends."""
        leash = [sys.executable, "-I", "-S", str(_LEASH), str(os.getpid()), str(int(death_signal))]
        with attempt.log_of(node).open("ab") as log:
            popen = subprocess.Popen(
                [*leash, *argv],
                env={**environment, MARK: str(attempt.root.absolute())},
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        process = cls(popen, argv, oom_kills())
        if node == 0:
            _note(process.pid, attempt)
        return process

    def wait(self, timeout_s: float | None = None) -> bool:
        """Whether it has ended; returns at once when it does, after `timeout_s` seconds otherwise."""
        poll = select.poll()
        poll.register(self._pidfd, select.POLLIN)
        return bool(poll.poll(None if timeout_s is None else timeout_s * 1000))

    def signal(self, number: signal.Signals) -> None:
        """Send `number` to the whole group."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, number)

    @property
    def exit_code(self) -> int | None:
        """Negative for a signal; None before `finish`."""
        return self._popen.returncode

    def finish(self) -> int:
        """End whatever is left of the group and return the exit code, negative for a signal."""
        self.wait()
        self.signal(signal.SIGKILL)
        os.close(self._pidfd)
        return self._popen.wait()


def end_leftovers(attempt: AttemptFolder, *, timeout_s: float = 20.0) -> list[int]:
    """Kill what an earlier supervisor on this machine left of `attempt`; the process ids that would not go."""
    deadline = time.monotonic() + timeout_s
    while leftovers := _leftovers(attempt):
        if time.monotonic() > deadline:
            break
        for pid in leftovers:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.02)
    return leftovers


def noted_process(attempt: AttemptFolder) -> int | None:
    """The process that `attempt` noted, if it is still the one of that number on this machine and has not ended."""
    try:
        noted = read_json(attempt.root / "process.json")
    except ContractError:
        return None
    pid = int(noted.get("pid", 0))
    return pid if "started_ticks" in noted and noted == _identity(pid) else None


def oom_kills() -> int:
    """How many processes the kernel has killed for want of memory, in this control group where it tells."""
    return next((count for path in _oom_counters() if (count := _count(path)) is not None), 0)


def machine_oom_kills() -> int:
    """The same of the whole machine."""
    return _count(_MACHINE) or 0


def _count(path: Path) -> int | None:
    """The value of `oom_kill` in a file of such lines; None where it does not tell."""
    with contextlib.suppress(OSError):
        for line in path.read_text(encoding="ascii").splitlines():
            name, _, value = line.partition(" ")
            if name == "oom_kill":
                return int(value)
    return None


def _oom_counters() -> list[Path]:
    groups = [line.split(":", 2) for line in Path("/proc/self/cgroup").read_text(encoding="utf-8").splitlines()]
    counters = []
    for _, controllers, path in groups:
        if "memory" in controllers.split(","):
            counters.append(Path(f"/sys/fs/cgroup/memory{path}/memory.oom_control"))
        elif not controllers:
            counters.append(Path(f"/sys/fs/cgroup{path}/memory.events"))
    return [*counters, _MACHINE]


def _note(pid: int, attempt: AttemptFolder) -> None:
    """No flush to disk: it means nothing after a reboot."""
    with contextlib.suppress(FileNotFoundError):  # the process may have ended already
        (attempt.root / "process.json").write_text(json.dumps(_identity(pid)), encoding="utf-8")


def _identity(pid: int) -> dict[str, object]:
    """What tells a process from a later one of the same number; only the number if it has ended."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except (FileNotFoundError, ProcessLookupError):
        return {"pid": pid}
    fields = stat.rpartition(")")[2].split()
    if fields[0] == "Z":
        return {"pid": pid}
    boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    return {"host": socket.gethostname(), "boot": boot, "pid": pid, "started_ticks": int(fields[19])}


def _leftovers(attempt: AttemptFolder) -> list[int]:
    mark = f"{MARK}={attempt.root.absolute()}".encode()
    marked = {int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit() and _carries(entry, mark)}
    noted = noted_process(attempt)
    return sorted(marked | ({noted} if noted else set()))


def _carries(entry: Path, mark: bytes) -> bool:
    with contextlib.suppress(OSError):  # ended meanwhile, or another user's
        return mark in (entry / "environ").read_bytes().split(b"\0")
    return False
