"""What can go wrong, one small class each; see README.md for how to add one.

A fault strikes once and says what it hit, or None where it found nothing to hit; it mends what does not mend itself.
"""

import contextlib
import os
import random
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from tests.faults import targets


class Scene(Protocol):
    """What a fault sees of the storm."""

    runs: Path
    draw: random.Random

    @property
    def driver(self) -> int:
        """The driver's process id."""


class Fault(Protocol):
    """One kind of mishap."""

    name: str
    weight: float  # how often it is drawn, beside others

    def strike(self, scene: Scene) -> str | None:
        """Do it, and say to what in a few words; None if there was nothing to hit."""


class Signal:
    """A signal to one of some processes."""

    def __init__(
        self, name: str, number: signal.Signals, found: Callable[[Scene], Sequence[int]], *, weight: float
    ) -> None:
        self.name, self.weight = name, weight
        self._number, self._found = number, found

    def strike(self, scene: Scene) -> str | None:
        pids = self._found(scene)
        if not pids:
            return None
        pid = scene.draw.choice(pids)
        return f"{self._number.name} to process {pid}" if targets.send(pid, self._number) else None


class Pause:
    """A process stands still for a while, as on a machine that swaps."""

    name, weight = "pause", 4.0

    def strike(self, scene: Scene) -> str | None:
        pids = [*targets.marked(scene.runs), *targets.supervisors(scene.runs)]
        if not pids or not targets.send(pid := scene.draw.choice(pids), signal.SIGSTOP):
            return None
        time.sleep(scene.draw.uniform(0.1, 0.6))
        targets.send(pid, signal.SIGCONT)
        return f"process {pid} stood still"


class Corrupt:
    """The newest checkpoint of a job is damaged, and the job killed before it writes another."""

    name, weight = "corrupt checkpoint", 6.0

    def strike(self, scene: Scene) -> str | None:
        found = [path for attempt in targets.attempts(scene.runs) for path in _newest(attempt.parents[1])]
        if not found:
            return None
        path = scene.draw.choice(found)
        for pid in targets.marked(path.parents[1].parent / path.parents[1].name):
            targets.send(pid, signal.SIGKILL)
        with contextlib.suppress(FileNotFoundError):
            content = bytearray(path.read_bytes())
            match scene.draw.choice(["flip", "cut", "empty"]):
                case "flip":
                    content[scene.draw.randrange(len(content))] ^= 1 << scene.draw.randrange(8)
                case "cut":
                    del content[len(content) // 2 :]
                case "empty":
                    content.clear()
            path.write_bytes(content)
            return f"{path.parents[1].name}/{path.name}"
        return None


class TornEvent:
    """The last line of a job's events is cut short, as by a crash of its machine, and the job is gone."""

    name, weight = "torn event", 6.0

    def strike(self, scene: Scene) -> str | None:
        found = [attempt / "events.jsonl" for attempt in targets.attempts(scene.runs)]
        found = [path for path in found if path.exists() and path.stat().st_size > 2]
        if not found:
            return None
        path = scene.draw.choice(found)
        for pid in targets.marked(path.parents[2].parent / path.parents[2].name):
            targets.send(pid, signal.SIGKILL)
        os.truncate(path, path.stat().st_size - scene.draw.randrange(1, 3))
        return f"{path.parents[2].name}/attempts/{path.parent.name}/{path.name}"


class LeftOver:
    """Half-written files of a writer that has died."""

    name, weight = "left-over files", 2.0

    def strike(self, scene: Scene) -> str | None:
        found = list(targets.attempts(scene.runs))
        if not found:
            return None
        attempt = scene.draw.choice(found)
        with contextlib.suppress(FileNotFoundError):
            (attempt / ".output.json.1").write_text('{"schema": 1, "id"')
            (attempt.parents[1] / ".result.json.1").write_text("{")
            return str(attempt.parents[1].name)
        return None


class FullDisk:
    """The disk of the runs folder has no room for a while."""

    name, weight = "full disk", 1.0

    def strike(self, scene: Scene) -> str | None:
        ballast = scene.runs / ".ballast"
        with contextlib.suppress(OSError), ballast.open("wb") as file:
            while True:
                file.write(bytes(2**20))
        time.sleep(scene.draw.uniform(0.5, 1.5))
        ballast.unlink()
        return "for a second"


class Frozen:
    """The folder's server does not answer for a while; whoever writes waits."""

    name, weight = "frozen folder", 1.0

    def strike(self, scene: Scene) -> str | None:
        place = str(_mount(scene.runs))
        subprocess.run(["fsfreeze", "--freeze", place], check=True)
        time.sleep(scene.draw.uniform(0.5, 2.0))
        subprocess.run(["fsfreeze", "--unfreeze", place], check=True)
        return place


class ReadOnly:
    """The folder refuses every write for a while, as after an error of its disk."""

    name, weight = "read-only folder", 1.0

    def strike(self, scene: Scene) -> str | None:
        place = str(_mount(scene.runs))
        done = subprocess.run(["mount", "-o", "remount,ro,bind", place], capture_output=True, check=False)
        if done.returncode:
            return None
        time.sleep(scene.draw.uniform(0.3, 1.0))
        subprocess.run(["mount", "-o", "remount,rw,bind", place], check=True)
        return place


def _newest(job: Path) -> list[Path]:
    found = sorted((job / "checkpoints").glob("step-*.json"), key=lambda path: int(path.stem.partition("-")[2]))
    return found[-1:]


def _mount(folder: Path) -> Path:
    return next(path for path in (folder, *folder.parents) if path.is_mount())


PROCESSES: Sequence[Fault] = (
    Signal("kill job", signal.SIGKILL, lambda scene: targets.marked(scene.runs), weight=20.0),
    Signal("kill supervisor", signal.SIGKILL, lambda scene: targets.supervisors(scene.runs), weight=12.0),
    Signal("kill driver", signal.SIGKILL, lambda scene: [scene.driver], weight=1.0),
    Signal("preempt", signal.SIGTERM, lambda scene: [scene.driver], weight=1.0),
    Signal("kill raylet", signal.SIGKILL, lambda scene: targets.daemons(scene.driver, "raylet"), weight=1.0),
    Signal("kill head", signal.SIGKILL, lambda scene: targets.daemons(scene.driver, "gcs_server"), weight=1.0),
    Pause(),
    Corrupt(),
    TornEvent(),
    LeftOver(),
)
FOLDERS: Sequence[Fault] = (FullDisk(), Frozen(), ReadOnly())
KINDS = {fault.name: fault for fault in (*PROCESSES, *FOLDERS)}
