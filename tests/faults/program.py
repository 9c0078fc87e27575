"""A job's program for storms: it folds a number step by step, keeps checkpoints, resumes, and drains on request.

Its result depends on the spec alone, so that whatever happens to it, the numbers say whether a step was lost or done
twice. Standard library only: it starts in a twentieth of a second.
"""

import hashlib
import json
import os
import signal
import sys
import time
from pathlib import Path

from jobs.contract import EXIT_PREEMPTED, JobFolder, JobSpec, Result, file_sha256

CHECKPOINT_STEPS = 3


def fold(value: int, step: int) -> int:
    """The number after one more step: 48 bits, exact in JSON."""
    return int(hashlib.sha256(f"{value} {step}".encode()).hexdigest()[:12], 16)


def numbers(spec: JobSpec) -> dict[str, object]:
    """What a job of this spec must end with."""
    value = spec.seed
    for step in range(1, spec.steps + 1):
        value = fold(value, step)
    metric = {"value": float(value), "unit": "", "better": "higher"}
    return {"primary": "folded", "metrics": {"folded": metric}, "steps_done": spec.steps}


class Job:
    """One attempt."""

    def __init__(self, folder: JobFolder, number: int) -> None:
        self.folder, self.number = folder, number
        self.spec = JobSpec.load(folder.spec)
        self.attempt = folder.attempt(number)
        self.asked = False

    def run(self) -> int:
        signal.signal(signal.SIGTERM, self._ask)
        step, value = self._resume()
        self._event("phase", phase="train")
        while step < self.spec.steps:
            step, value = step + 1, fold(value, step + 1)
            time.sleep(self.spec.arguments["step_s"])
            self._event("step", phase="train", step=step, steps=self.spec.steps, loss=1.0)
            if step % CHECKPOINT_STEPS == 0 or self.asked:
                self._save(step, value)
            if self.asked:
                self._event("preempted", step=step)
                return EXIT_PREEMPTED
        metric = {"value": float(value), "unit": "", "better": "higher"}
        found = {"primary": "folded", "metrics": {"folded": metric}, "steps_done": step}
        Result(id=self.spec.id, attempt=self.number, status="ok", numbers=found).save(self.attempt.output)
        return 0

    def _ask(self, *_: object) -> None:
        self.asked = True

    def _event(self, kind: str, **fields: object) -> None:
        with self.attempt.events.open("a") as file:
            file.write(json.dumps({"time": time.time(), "kind": kind, **fields}) + "\n")

    def _save(self, step: int, value: int) -> None:
        """Aside, flushed, renamed, with its checksum; the last two are kept, as by every job."""
        self.folder.checkpoints.mkdir(exist_ok=True)
        path = self.folder.checkpoints / f"step-{step}.json"
        aside = path.with_name(f".{path.name}.{os.getpid()}")
        aside.write_text(json.dumps({"step": step, "value": value}))
        path.with_suffix(".sha256").write_text(file_sha256(aside))
        aside.replace(path)
        for old in self._checkpoints()[2:]:
            old.unlink(missing_ok=True)
            old.with_suffix(".sha256").unlink(missing_ok=True)

    def _checkpoints(self) -> list[Path]:
        """The newest first."""
        found = self.folder.checkpoints.glob("step-*.json")
        return sorted(found, key=lambda path: int(path.stem.partition("-")[2]), reverse=True)

    def _resume(self) -> tuple[int, int]:
        for path in self._checkpoints():
            digest = path.with_suffix(".sha256")
            if digest.exists() and digest.read_text() == file_sha256(path):
                saved = json.loads(path.read_text())
                self._event("resumed", step=saved["step"])
                return saved["step"], saved["value"]
        return 0, self.spec.seed


if __name__ == "__main__":
    sys.exit(Job(JobFolder(Path(sys.argv[1])), int(sys.argv[2])).run())
