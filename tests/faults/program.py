"""A trainer so small that a storm can kill it often: it folds (seed, step) into a number, step by step.

Run as `python -m tests.faults.program JOB_DIR ATTEMPT`. It keeps the job contract: events, checkpoints with
checksums, resuming from the newest sound one, exit code 75 when asked to stop. The number depends on every step having
been taken exactly once and in order, so that one lost or repeated step shows in the result.
"""

import fcntl
import hashlib
import json
import os
import signal
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from jobs.contract import EXIT_PREEMPTED, JobFolder, JobSpec, Launch, Result, file_sha256

CHECKPOINT_STEPS = 4
CROWD = "crowd.txt"
"""Left in a job's folder by a process that found another one at work there."""
_EVICTION_S = 2.0


def fold(number: int, *, seed: int, step: int) -> int:
    """The number after one more step."""
    return int.from_bytes(hashlib.sha256(f"{number} {seed} {step}".encode()).digest()[:6])


def numbers(seed: int, taken: Iterable[int]) -> dict[str, Any]:
    """What a job that took these steps reports."""
    number, steps = 0, 0
    for step in taken:
        number, steps = fold(number, seed=seed, step=step), steps + 1
    return report(number, steps)


def report(number: int, steps: int) -> dict[str, Any]:
    metric = {"value": float(number), "unit": "", "better": "higher"}
    return {"primary": "fold", "metrics": {"fold": metric}, "steps_done": steps}


def save(folder: Path, step: int, number: int) -> None:
    """A checkpoint and its checksum, each written aside and renamed; the newest two are kept."""
    folder.mkdir(exist_ok=True)
    path = folder / f"step-{step}.pt"
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    aside.write_text(json.dumps({"step": step, "number": number}))
    digest = file_sha256(aside)
    aside.replace(path)
    aside.write_text(digest)
    aside.replace(path.with_name(path.name + ".sha256"))
    for old in checkpoints(folder)[:-2]:
        old.with_name(old.name + ".sha256").unlink(missing_ok=True)
        old.unlink(missing_ok=True)


def checkpoints(folder: Path) -> list[Path]:
    """Oldest first."""
    return sorted(folder.glob("step-*.pt"), key=lambda path: int(path.stem.removeprefix("step-")))


def newest(folder: Path) -> tuple[int, int]:
    """Step and number of the newest checkpoint whose checksum agrees; damaged ones are removed."""
    for path in reversed(checkpoints(folder)):
        beside = path.with_name(path.name + ".sha256")
        if beside.exists() and beside.read_text() == file_sha256(path):
            document = json.loads(path.read_text())
            return document["step"], document["number"]
        path.unlink()
    return 0, 0


class Trainer:
    """One attempt."""

    def __init__(self, folder: JobFolder, number: int) -> None:
        self.folder, self.attempt = folder, folder.attempt(number)
        self.spec, self.launch = JobSpec.load(folder.spec), Launch.load(self.attempt.launch)
        self.asked_to_stop = False
        signal.signal(signal.SIGTERM, self._ask)

    def run(self) -> None:
        step, number = newest(self.folder.checkpoints)
        if step:
            self.event("resumed", step=step)
        self.event("phase", phase="train")
        while step < self.spec.steps:
            if self.asked_to_stop:
                self.preempt(step, number)
            time.sleep(self.spec.arguments["step_s"])
            step, number = step + 1, fold(number, seed=self.spec.seed, step=step + 1)
            if step % CHECKPOINT_STEPS == 0:
                save(self.folder.checkpoints, step, number)
            self.event("step", phase="train", step=step, steps=self.spec.steps, loss=1 / step)
        result = Result(id=self.spec.id, attempt=self.launch.attempt, status="ok", numbers=report(number, step))
        result.save(self.attempt.output)

    def preempt(self, step: int, number: int) -> None:
        if step:
            save(self.folder.checkpoints, step, number)
        self.event("preempted", step=step)
        sys.exit(EXIT_PREEMPTED)

    def event(self, kind: str, **fields: object) -> None:
        with self.attempt.events.open("a") as file:
            file.write(json.dumps({"time": time.time(), "kind": kind, **fields}) + "\n")

    def _ask(self, *_: object) -> None:
        self.asked_to_stop = True


def alone(folder: JobFolder) -> int:
    """Hold the folder until this process ends; the descriptor. Whoever is still in it is reported."""
    descriptor = os.open(folder.root / "writer.lock", os.O_CREAT | os.O_RDWR)
    deadline = time.monotonic() + _EVICTION_S  # a process that is being killed keeps its locks for a moment
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                (folder.root / CROWD).write_text(f"process {os.getpid()} found another one at work")
                return descriptor
            time.sleep(0.01)
        else:
            return descriptor


if __name__ == "__main__":
    job = JobFolder(Path(sys.argv[1]))
    held = alone(job)
    Trainer(job, int(sys.argv[2])).run()
