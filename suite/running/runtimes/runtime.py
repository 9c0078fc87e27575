"""What a runtime is: the way in which a job's process is started, stopped and asked why it ended."""

from typing import Protocol

from jobs.contract import JobFolder, JobSpec, Launch
from suite.running.runtimes.process import Process


class Runtime(Protocol):
    """Runs `python -m jobs JOB_DIR` somewhere, as a foreground process of this machine."""

    def lacks(self, environment: str) -> str | None:
        """What is missing on this machine before a job of this environment can start, and what to do; None: nothing."""

    def argv(self, folder: JobFolder, launch: Launch) -> list[str]:
        """The command; it stays in the foreground until the job has ended and has the job's exit code."""

    def environment(self, spec: JobSpec, launch: Launch) -> dict[str, str]:
        """The command's whole environment; nothing is inherited beside it."""

    def stop(self, process: Process, *, now: bool) -> None:
        """Ask every process of the job to write a checkpoint and end, or end it `now`."""

    def ran_out_of_memory(self, process: Process) -> bool:
        """Whether the machine, not the job, ended it for want of memory. Asked once, after it has ended."""
