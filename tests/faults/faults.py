"""What can befall a run. A fault strikes something in the scene and, where it lasts, is mended later.

`strike` returns what it struck, in words, or None if there was nothing to strike. Add a class and name it in `ALL`.
"""

import json
import os
import signal
from collections.abc import Mapping
from pathlib import Path

from jobs.contract import Result
from tests.faults import program
from tests.faults.scene import Scene, parent_of


class Fault:
    """One fault, struck once."""

    name = ""
    lasts_s = 0.0  # until it is mended

    def strike(self, scene: Scene) -> str | None:
        raise NotImplementedError

    def mend(self, scene: Scene) -> None:
        """Undo it; those that do not last need nothing."""


class JobKilled(Fault):
    name = "SIGKILL of a job"

    def strike(self, scene: Scene) -> str | None:
        job = scene.job()
        return job.name if job and kill(job.pid) else None


class JobFrozen(Fault):
    """A machine that stalls: nothing is lost, so nothing may be done about it."""

    name = "SIGSTOP of a job"
    lasts_s = 0.4
    pid = 0

    def strike(self, scene: Scene) -> str | None:
        job = scene.draw(scene.jobs())
        if job is None or not kill(job.pid, signal.SIGSTOP):
            return None
        self.pid = job.pid
        return job.name

    def mend(self, scene: Scene) -> None:
        kill(self.pid, signal.SIGCONT)


class SupervisorKilled(Fault):
    """The kernel takes the job along; another supervisor goes on from the checkpoint."""

    name = "SIGKILL of a supervisor"

    def strike(self, scene: Scene) -> str | None:
        job = scene.job()
        return job.name if job and kill(parent_of(job.pid)) else None


class SupervisorFrozen(Fault):
    """Nobody watches for a while; the job goes on by itself."""

    name = "SIGSTOP of a supervisor"
    lasts_s = 0.6
    pid: int | None = None

    def strike(self, scene: Scene) -> str | None:
        job = scene.draw(scene.jobs())
        self.pid = parent_of(job.pid) if job else None
        return job.name if job and kill(self.pid, signal.SIGSTOP) else None

    def mend(self, scene: Scene) -> None:
        kill(self.pid, signal.SIGCONT)


class SupervisorHalfWay(Fault):
    """A supervisor that dies while it writes: files stay behind that were to be renamed."""

    name = "supervisor killed half-way through a file"

    def strike(self, scene: Scene) -> str | None:
        job = scene.job()
        if job is None or not kill(parent_of(job.pid)):
            return None
        for path in (job.folder.result, job.folder.spec, job.attempt.launch, job.attempt.output):
            path.with_name(f".{path.name}.{job.pid}").write_text('{"id": "')
        if job.folder.checkpoints.is_dir():
            (job.folder.checkpoints / f".step-3.pt.{job.pid}").write_text("{")
        return job.name


class CheckpointDamaged(Fault):
    """The newest checkpoint is not what was written, and the job has to go back to the one before."""

    name = "newest checkpoint damaged"

    def strike(self, scene: Scene) -> str | None:
        job = scene.job()
        if job is None or not kill(job.pid, signal.SIGSTOP):
            return None
        saved = program.checkpoints(job.folder.checkpoints)
        how = scene.draw(sorted(DAMAGES))
        if saved and how:
            damage(saved[-1], how)
        kill(job.pid)
        return f"{job.name} ({how})" if saved else f"{job.name} (none yet)"


class EventsCutShort(Fault):
    """A job that dies in the middle of a line."""

    name = "last line of the events cut short"

    def strike(self, scene: Scene) -> str | None:
        job = scene.job()
        if job is None or not kill(job.pid, signal.SIGSTOP):
            return None
        lines = job.attempt.events.read_bytes().splitlines(keepends=True)
        if lines:
            os.truncate(job.attempt.events, sum(map(len, lines)) - len(lines[-1]) // 2)
        kill(job.pid)
        return job.name


class LateOutput(Fault):
    """A worker that was thought lost finishes after all, and with another number."""

    name = "output of an attempt that was cut off"

    def strike(self, scene: Scene) -> str | None:
        cut_off = [job for job in scene.jobs() if int(job.attempt.root.name) > 1]
        job = scene.draw(cut_off)
        if job is None:
            return None
        spec = json.loads(job.folder.spec.read_text())
        for number in range(1, int(job.attempt.root.name)):
            late = Result(id=job.folder.root.name, attempt=number, status="ok", numbers=program.numbers(-1, [1]))
            late.save(job.folder.attempt(number).output)
        return f"{job.name}, seed {spec['seed']}"


class DriverKilled(Fault):
    name = "SIGKILL of the driver"

    def strike(self, scene: Scene) -> str | None:
        return _strike_driver(scene, signal.SIGKILL)


class DriverPreempted(Fault):
    name = "SIGTERM of the driver"

    def strike(self, scene: Scene) -> str | None:
        return _strike_driver(scene, signal.SIGTERM)


class DriverFrozen(Fault):
    name = "SIGSTOP of the driver"
    lasts_s = 0.8

    def strike(self, scene: Scene) -> str | None:
        return _strike_driver(scene, signal.SIGSTOP)

    def mend(self, scene: Scene) -> None:
        if scene.driver is not None:
            scene.driver.send_signal(signal.SIGCONT)


class RayletKilled(Fault):
    name = "SIGKILL of the raylet"

    def strike(self, scene: Scene) -> str | None:
        pid = scene.daemon("raylet") if scene.jobs() else None
        return f"process {pid}" if kill(pid) else None


class HeadKilled(Fault):
    name = "SIGKILL of Ray's head (GCS)"

    def strike(self, scene: Scene) -> str | None:
        pid = scene.daemon("gcs_server") if scene.jobs() else None
        return f"process {pid}" if kill(pid) else None


ALL: Mapping[type[Fault], int] = {
    JobKilled: 40,
    JobFrozen: 10,
    SupervisorKilled: 16,
    SupervisorFrozen: 4,
    SupervisorHalfWay: 8,
    CheckpointDamaged: 12,
    EventsCutShort: 8,
    LateOutput: 4,
    DriverKilled: 2,
    DriverPreempted: 1,
    DriverFrozen: 3,
    RayletKilled: 1,
    HeadKilled: 1,
}
"""How many of each there are in a pack; a storm deals shuffled packs. What needs a new Ray costs seconds."""

DAMAGES = ("a bit flipped", "cut in half", "empty")


def damage(path: Path, how: str) -> None:
    """Spoil a file in one of the ways of DAMAGES."""
    content = bytearray(path.read_bytes())
    match how:
        case "a bit flipped":
            content[len(content) // 2] ^= 1
        case "cut in half":
            del content[len(content) // 2 :]
        case "empty":
            content.clear()
    path.write_bytes(content)


def kill(pid: int | None, number: signal.Signals = signal.SIGKILL) -> bool:
    """Send a signal; False if there is no such process any more."""
    try:
        if pid is None or pid <= 1:
            return False
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True


def _strike_driver(scene: Scene, number: signal.Signals) -> str | None:
    """Only while jobs run: a driver that has not begun has nothing to lose."""
    if scene.driver is None or not scene.jobs():
        return None
    scene.driver.send_signal(number)
    return f"process {scene.driver.pid}"
