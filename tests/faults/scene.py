"""What a fault can strike at this moment: the driver, Ray's daemons, supervisors, jobs and their folders."""

import contextlib
import dataclasses
import random
import subprocess
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from jobs.contract import AttemptFolder, JobFolder
from suite.running.runtimes.process import MARK

MOST_STRIKES = 5
"""How often one job is struck: the product rightly gives a job up that is lost more often without getting on."""

_Target = TypeVar("_Target")


@dataclasses.dataclass(frozen=True)
class RunningJob:
    """A job's process and the attempt it makes."""

    pid: int
    attempt: AttemptFolder

    @property
    def folder(self) -> JobFolder:
        return JobFolder(self.attempt.root.parents[1])

    @property
    def name(self) -> str:
        return f"{self.folder.root.name} attempt {self.attempt.root.name}"


class Scene:
    """A runs folder, the command that works in it, and the dice."""

    def __init__(self, runs: Path, dice: random.Random) -> None:
        self.runs, self.dice = runs.absolute(), dice
        self.driver: subprocess.Popen[bytes] | None = None
        self.strikes: Counter[str] = Counter()

    def draw(self, targets: Sequence[_Target]) -> _Target | None:
        """One of `targets`, or None if there is none; takes one throw of the dice either way."""
        throw = self.dice.random()
        return targets[int(throw * len(targets))] if targets else None

    def job(self) -> RunningJob | None:
        """A running job that may be struck once more; the strike is counted."""
        drawn = self.draw([job for job in self.jobs() if self.strikes[job.folder.root.name] < MOST_STRIKES])
        if drawn:
            self.strikes[drawn.folder.root.name] += 1
        return drawn

    def jobs(self) -> list[RunningJob]:
        """Those that train; the ones that do nothing are gone before they are struck."""
        found = [RunningJob(pid, AttemptFolder(Path(mark))) for pid, mark in marked(MARK, self.runs)]
        return [job for job in found if job.attempt.events.exists() and not job.folder.result.exists()]

    def daemon(self, name: str) -> int | None:
        """One of the processes that the driver started, by name: `raylet`, `gcs_server`."""
        if self.driver is None:
            return None
        return next((pid for pid, parent, called in processes() if parent == self.driver.pid and called == name), None)


def processes() -> Iterator[tuple[int, int, str]]:
    """Process id, parent's and name of all that are alive; zombies are not."""
    for stat in sorted(Path("/proc").glob("[0-9]*/stat")):
        with contextlib.suppress(OSError):
            name, _, rest = stat.read_text().partition("(")[2].rpartition(")")
            state, parent = rest.split()[:2]
            if state != "Z":
                yield int(stat.parent.name), int(parent), name


def marked(variable: str, under: Path) -> list[tuple[int, str]]:
    """Processes in whose environment `variable` names a path under `under`, with that path."""
    found = []
    for pid, _, _ in processes():
        with contextlib.suppress(OSError):
            for pair in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
                name, _, value = pair.decode(errors="replace").partition("=")
                if name == variable and Path(value).is_relative_to(under):
                    found.append((pid, value))
    return found


def parent_of(pid: int) -> int | None:
    """The process that started `pid`, if both are alive."""
    return next((parent for number, parent, _ in processes() if number == pid), None)
