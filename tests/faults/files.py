"""Files as a crash leaves them: half written, empty, cut short, damaged, or written too late."""

import os
import signal
from pathlib import Path

from jobs.contract import Result
from tests.faults import program
from tests.faults.fault import Fault, kill
from tests.faults.scene import Scene, parent_of

DAMAGES = ("a bit flipped", "cut in half", "empty")


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


class FilesEmptied(Fault):
    """A machine that crashed: files that were not flushed to disk are there, but empty."""

    name = "unflushed files of a job emptied"

    def strike(self, scene: Scene) -> str | None:
        job = scene.job()
        if job is None or not kill(parent_of(job.pid)):
            return None
        for number in job.folder.attempts():
            for path in (job.folder.attempt(number).root / name for name in ("process.json", "ending.json", "log.txt")):
                if path.exists():
                    os.truncate(path, 0)
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
        job = scene.job()
        if job is None or not kill(parent_of(job.pid)):
            return None
        number = int(job.attempt.root.name)
        late = Result(id=job.folder.root.name, attempt=number, status="ok", numbers=program.numbers(-1, [1]))
        late.save(job.attempt.output)
        return job.name


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
