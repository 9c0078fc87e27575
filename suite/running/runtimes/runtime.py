"""What a runtime is: the way in which a job's process is started, stopped and asked why it ended."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from jobs.contract import AttemptFolder, JobFolder, JobSpec, Launch
from suite.running.runtimes.process import Process


@dataclasses.dataclass(frozen=True, kw_only=True)
class Ending:
    """What the machine, rather than the job, knows about how an attempt ended."""

    out_of_memory: bool = False  # the kernel ended it for want of memory
    killed: bool = False  # something from outside ended it, whatever its exit code says
    unstarted: str | None = None  # why the job never began: one sentence; None if it did


class Runtime(Protocol):
    """Runs `python -m jobs JOB_DIR` somewhere, as a foreground process of this machine."""

    def needs(self, spec: JobSpec) -> str:
        """The name of what a job runs in: an environment or an image."""

    def lacks(self, needed: str) -> str | None:
        """What of it is missing on this machine, and what to do, in one or two sentences; None if nothing is."""

    def python(self, files: Sequence[Path]) -> Sequence[str]:
        """The command that stands for `python` where these variant files, which nobody may trust, are imported."""

    def adapt(self, launch: Launch) -> Launch:
        """The launch as the job will find it here: its image, what it can reach, and where it sees its data."""

    def argv(self, folder: JobFolder, spec: JobSpec, launch: Launch, *, node: int = 0) -> list[str]:
        """The command for the job's `node`-th node; it stays in the foreground and ends with the job's exit code."""

    def environment(self, spec: JobSpec, launch: Launch) -> dict[str, str]:
        """The command's whole environment; nothing is inherited beside it."""

    def stop(self, attempt: AttemptFolder, process: Process, *, now: bool) -> None:
        """Ask every process of the attempt to write a checkpoint and end, or end it `now`."""

    def ended(self, attempt: AttemptFolder, process: Process) -> Ending:
        """What the machine knows about the end, and clear away what it kept for that. Asked once, after the end."""

    def sweep(self, attempt: AttemptFolder) -> list[str]:
        """End what an earlier supervisor on this machine left of `attempt`; what would not go, each as a noun."""
