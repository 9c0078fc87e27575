"""Jobs in containers: what every engine with a command line like docker's shares.

The job sees two folders, its own and, read-only, the data; no network unless it spans several nodes; none of the
suite's environment. The engine's client stays in the foreground as the job's process. A container is named after its
job's folder, so that the engine itself refuses a second one for the same folder.
"""

import abc
import csv
import dataclasses
import hashlib
import io
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from jobs.contract import AttemptFolder, JobFolder, JobSpec, Launch
from suite import images
from suite.errors import UsageError
from suite.running.runtimes import command, engine, interface, links, variables
from suite.running.runtimes.engine import Engine, EngineAway
from suite.running.runtimes.process import Process, end_leftovers
from suite.running.runtimes.runtime import Ending

JOB, DATA = Path("/job"), Path("/data")
"""Where a job sees its own folder and the data."""

PIDS = 512
"""Processes and threads for each of a job's processes: loading processes and thread pools fit, a fork bomb does not."""

TMP_BYTES, SHARED_BYTES = 4 * 2**30, 2 * 2**30
"""Room in /tmp and in shared memory; what lies there counts as the job's memory."""

_LABEL = "unsmooth.job"

_LOOK_BYTES, _LOOK_S = 4 * 2**30, 300  # to import variants in

_CONFINED = (
    *("--pull", "never", "--init", "--log-driver", "none", "--read-only", "--cap-drop", "ALL"),
    *("--security-opt", "no-new-privileges"),
    *("--tmpfs", f"/tmp:rw,exec,nosuid,nodev,mode=1777,size={TMP_BYTES}"),
)
"""What holds for whatever is started here."""


class Container(abc.ABC):
    """A container for each job and node, made by the command line of `program`."""

    program: ClassVar[str]
    limits: ClassVar[Sequence[str]] = ("--ulimit", "core=0")  # a dump of a process's memory would fill the job's folder

    def __init__(self) -> None:
        self._engine = Engine(self.program)
        self._present: set[str] = set()

    def needs(self, spec: JobSpec) -> str:
        return spec.task

    def lacks(self, needed: str) -> str | None:
        image, build = images.load(self.program).get(needed), images.build_command(self.program, needed)
        if image is None:
            return f"The image {needed} has not been built. Build it with `{build}`."
        if image.digest in self._present:  # one that goes later is refused by the engine
            return None
        try:
            there = self._engine.has_image(image.digest)
        except EngineAway as error:
            return str(error)
        if not there:
            return f"{self.program} does not have the image {needed}, {image.digest}. Build it with `{build}`."
        self._present.add(image.digest)
        return None

    def python(self, files: Sequence[Path]) -> Sequence[str]:
        """In any image, for each of them can import every variant.

        Raises:
            UsageError: none has been built.
        """
        built = images.load(self.program)
        if not files:
            return [sys.executable]
        if not built:
            build = images.build_command(self.program)
            raise UsageError(
                f"A variant file is looked at in an image, and none has been built. Build them with `{build}`."
            )
        return [
            *(self.program, "run", "--rm", "--interactive", "--network", "none", *_CONFINED),
            *("--pids-limit", str(PIDS), "--memory", str(_LOOK_BYTES), "--memory-swap", str(_LOOK_BYTES)),
            *(word for file in files for word in ("--mount", mount(file, file, "readonly"))),
            *(*self.user(), "--env", "HOME=/tmp", "--env", "NVIDIA_VISIBLE_DEVICES=void"),
            *(next(iter(built.values())).digest, "timeout", "--signal=KILL", str(_LOOK_S), "python"),
        ]

    def adapt(self, launch: Launch) -> Launch:
        image = images.load(self.program).get(launch.environment)
        return dataclasses.replace(
            launch,
            image=image.digest if image else None,
            network="none" if launch.nodes == 1 else "host",
            data_root=str(DATA) if launch.data_root else None,
            data_source=launch.data_root,
        )

    def argv(self, folder: JobFolder, spec: JobSpec, launch: Launch, *, node: int = 0) -> list[str]:
        job = folder.root.absolute()
        return [
            *(self.program, "run", "--name", name(job, spec, node), "--label", f"{_LABEL}={job}"),
            *("--network", launch.network, *_CONFINED, *self.limits),
            *("--pids-limit", str(PIDS * launch.processes), *_memory(launch), "--shm-size", str(SHARED_BYTES)),
            *("--mount", mount(job, JOB), *_inputs(folder), *_data(launch), "--workdir", str(JOB)),
            *(*self.user(), *self.gpus(launch.devices)),
            *(word for item in _environment(spec, launch).items() for word in ("--env", "=".join(item))),
            *(launch.image or "", "python", *command.words(JOB, launch, node=node)),
        ]

    @abc.abstractmethod
    def user(self) -> Sequence[str]:
        """The options under which what the job writes belongs to whoever runs the suite."""

    @abc.abstractmethod
    def gpus(self, devices: Sequence[int]) -> Sequence[str]:
        """The options that show these GPUs, and no others."""

    def environment(self, spec: JobSpec, launch: Launch) -> dict[str, str]:
        return variables.scrubbed(os.environ)  # the client's; of it nothing reaches the job

    def stop(self, attempt: AttemptFolder, process: Process, *, now: bool) -> None:
        number = signal.SIGKILL if now else signal.SIGTERM
        try:
            told = self._engine.kill(_name_in(process.argv), number)
        except EngineAway:
            told = False
        if now or not told:  # the container is not there yet, or its engine is not there any more
            process.signal(number)

    def ended(self, attempt: AttemptFolder, process: Process) -> Ending:
        try:
            return self._ended(_name_in(process.argv), attempt, process)
        except EngineAway as error:
            return Ending(unstarted=str(error))
        finally:
            links.cut(attempt.root.parents[1])

    def _ended(self, container: str, attempt: AttemptFolder, process: Process) -> Ending:
        if process.exit_code == 0:
            self._engine.remove(container)
            return Ending()
        was_away = self._engine.wait_for_it()
        state = self._engine.state(container)
        self._engine.remove(container)
        if state is None or not state.started:
            return Ending(unstarted=self._refusal(state.error if state else "", attempt))
        return Ending(
            out_of_memory=self.out_of_memory(state, process),
            killed=was_away or state.running or process.exit_code == engine.REFUSED,
        )

    def out_of_memory(self, state: engine.State, process: Process) -> bool:
        """Whether the kernel ended one of the container's processes for want of memory."""
        return state.out_of_memory

    def sweep(self, attempt: AttemptFolder) -> list[str]:
        clients = [f"process {pid}" for pid in end_leftovers(attempt)]
        job = attempt.root.absolute().parents[1]
        try:
            return clients + [f"container {found}" for found in self._engine.remove_all(f"{_LABEL}={job}")]
        except EngineAway:  # it runs nothing, and refuses a second container of this name when it is back
            return clients

    def _refusal(self, error: str, attempt: AttemptFolder) -> str:
        """Why the engine did not start the container, in its own words; they are in the log if it says nothing now."""
        lines = attempt.log.read_text(encoding="utf-8", errors="replace").splitlines() if attempt.log.exists() else []
        self._present.clear()
        return f"{self.program} could not start the container: {error or engine.last_line(lines)}"


def name(job: Path, spec: JobSpec, node: int) -> str:
    """The container's name: the same for every attempt, another one for the same job in another runs folder."""
    return f"unsmooth-{spec.id}-{hashlib.sha256(str(job).encode()).hexdigest()[:8]}-{node}"


def mount(source: Path, target: Path, *more: str) -> str:
    """What --mount takes, a line of CSV; a folder's name may hold commas and quotes."""
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(["type=bind", f"source={source}", f"target={target}", *more])
    return line.getvalue()


def _inputs(folder: JobFolder) -> tuple[str, ...]:
    """What was put there for the job; the upstream job's checkpoint is a hard link to that job's own file."""
    if not folder.inputs.is_dir():
        return ()
    return "--mount", mount(folder.inputs.absolute(), JOB / folder.inputs.name, "readonly")


def _data(launch: Launch) -> tuple[str, ...]:
    """The data, where this machine has them: a job that needs them says itself what is missing."""
    if launch.data_source is None or not Path(launch.data_source).is_dir():
        return ()
    return "--mount", mount(Path(launch.data_source), DATA, "readonly")


def _memory(launch: Launch) -> tuple[str, ...]:
    """The limit holds with and without swap."""
    if launch.memory_bytes is None:
        return ()
    return "--memory", str(launch.memory_bytes), "--memory-swap", str(launch.memory_bytes)


def _environment(spec: JobSpec, launch: Launch) -> dict[str, str]:
    """The job's whole environment, but for what its image sets; it counts the GPUs it sees from 0."""
    devices = ",".join(map(str, range(len(launch.devices))))
    shown = {} if launch.devices else {"NVIDIA_VISIBLE_DEVICES": "void"}  # CUDA images ask for all of them
    return {
        **interface.variables(launch),
        **variables.of_job(spec, devices=devices),
        **shown,
        "HOME": "/tmp",
        "USER": "job",
        "TINI_KILL_PROCESS_GROUP": "1",  # a request to stop reaches every process of the group, not the first alone
    }


def _name_in(argv: Sequence[str]) -> str:
    return argv[argv.index("--name") + 1]
