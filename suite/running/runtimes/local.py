"""The `local` runtime: the job is a child process of its supervisor, on the interpreter its environment names."""

import os
import signal
from collections.abc import Sequence
from pathlib import Path

from jobs.contract import AttemptFolder, JobFolder, JobSpec, Launch
from suite.running.runtimes import command, interface, interpreters, variables
from suite.running.runtimes.interpreters import SOURCE_ROOT
from suite.running.runtimes.process import Process, end_leftovers, oom_kills
from suite.running.runtimes.runtime import Ending


class Local:
    """A child process in its own process group; nothing keeps it from the network or from other files."""

    def needs(self, spec: JobSpec) -> str:
        return interpreters.environment(spec)

    def lacks(self, needed: str) -> str | None:
        return interpreters.lacks(needed)

    def python(self, files: Sequence[Path]) -> Sequence[str]:
        return [interpreters.interpreter(interpreters.MAIN)]

    def adapt(self, launch: Launch) -> Launch:
        return launch

    def argv(self, folder: JobFolder, spec: JobSpec, launch: Launch, *, node: int = 0) -> list[str]:
        python = interpreters.interpreter(launch.environment)
        return [python, *command.words(folder.root.absolute(), launch, node=node)]

    def environment(self, spec: JobSpec, launch: Launch) -> dict[str, str]:
        paths = os.pathsep.join(filter(None, [str(SOURCE_ROOT), os.environ.get("PYTHONPATH")]))
        devices = ",".join(map(str, launch.devices))
        own = {**variables.of_job(spec, devices=devices), "PYTHONPATH": paths}
        return interface.variables(launch) | variables.scrubbed(os.environ) | own

    def stop(self, attempt: AttemptFolder, process: Process, *, now: bool) -> None:
        process.signal(signal.SIGKILL if now else signal.SIGTERM)

    def ended(self, attempt: AttemptFolder, process: Process) -> Ending:
        end_leftovers(attempt)  # children that left the job's process group
        return Ending(out_of_memory=oom_kills() > process.oom_kills_before)

    def sweep(self, attempt: AttemptFolder) -> list[str]:
        return [f"process {pid}" for pid in end_leftovers(attempt)]
