"""A job's program for tests: real processes that succeed, fail, hang or die as their spec's `behaves` says."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from jobs.contract import EXIT_PREEMPTED, AttemptFolder, JobFolder, JobSpec, Launch, Result


class FakeJob:
    """One attempt; the attempt's number chooses among the spec's behaviours, the last one stays."""

    def __init__(self, folder: JobFolder) -> None:
        self.spec = JobSpec.load(folder.spec)
        self.number = folder.attempts()[-1]
        self.attempt: AttemptFolder = folder.attempt(self.number)
        self.launch = Launch.load(self.attempt.launch)
        self.folder = folder

    def event(self, kind: str, **fields: object) -> None:
        with self.attempt.events.open("a") as file:
            file.write(json.dumps({"time": time.time(), "kind": kind, **fields}) + "\n")

    def step(self, number: int) -> None:
        self.event("step", phase="train", step=number, steps=self.spec.steps, loss=1.0 / number)

    def train(self, steps: int) -> None:
        self.event("phase", phase="train")
        for number in range(1, steps + 1):
            self.step(number)

    def output(self, status: str, **fields: object) -> None:
        Result(id=self.spec.id, attempt=self.number, status=status, **fields).save(self.attempt.output)

    def ok(self) -> None:
        self.train(self.spec.steps)
        self.folder.checkpoints.mkdir(exist_ok=True)
        (self.folder.checkpoints / "final.pt").write_text(self.spec.id)
        accuracy = {"value": 50.0 + self.spec.seed, "unit": "%", "better": "higher"}
        numbers = {"primary": "accuracy", "metrics": {"accuracy": accuracy}, "steps_done": self.spec.steps}
        self.output("ok", numbers=numbers, cost={"micro_batch": self.launch.micro_batch})

    def slow(self, steps: int = 15) -> None:
        """Takes a second and a half, then is well."""
        self.event("phase", phase="train")
        for number in range(1, steps + 1):
            self.step(number)
            time.sleep(0.1)
        self.ok()

    def long(self) -> None:
        """Takes fifteen seconds: whoever kills what it depends on is faster."""
        self.slow(150)

    def skipped(self) -> None:
        self.output("skipped", reason="An odd number of heads.")

    def nan(self) -> None:
        self.train(1)
        self.output("failed", failure="nan", reason="The loss is nan at step 2.")
        sys.exit(1)

    def raises(self) -> None:
        self.train(1)
        raise ValueError("the moon is not full")

    def out_of_memory(self) -> None:
        self.train(1)
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 byte")

    def disk_full(self) -> None:
        raise OSError(28, "No space left on device")

    def killed(self) -> None:
        """From outside, having got one step further than the attempt before."""
        self.train(self.number)
        os.kill(os.getpid(), signal.SIGKILL)

    def killed_at_once(self) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def segfault(self) -> None:
        os.kill(os.getpid(), signal.SIGSEGV)

    def aborts_after_output(self) -> None:
        self.ok()
        os.kill(os.getpid(), signal.SIGABRT)

    def silent(self) -> None:
        """Ends well without an output."""

    def preempted(self) -> None:
        self.train(self.number)
        self.event("preempted", step=self.number)
        sys.exit(EXIT_PREEMPTED)

    def waits(self) -> None:
        """Trains until it is asked to stop, then writes a checkpoint."""
        signal.signal(signal.SIGTERM, lambda *_: self.preempted())
        self.event("phase", phase="train")
        for number in range(1, 10_000):
            self.step(number)
            time.sleep(0.05)

    def deaf(self) -> None:
        """Hangs, and does not listen."""
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        self.train(2)
        time.sleep(600)

    def floods(self) -> None:
        """Prints without end."""
        while True:
            os.write(1, b"x" * 2**20)

    def never(self) -> None:
        """Never begins."""
        time.sleep(600)

    def parent(self) -> None:
        """Has a child that does not listen, then waits."""
        child = subprocess.Popen(
            [sys.executable, "-c", "import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(600)"]
        )
        (self.folder.root / "child.pid").write_text(str(child.pid))
        self.waits()

    def leaves_a_daemon(self) -> None:
        """Is well, and has a child that left its process group."""
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
        (self.folder.root / "child.pid").write_text(str(child.pid))
        self.ok()

    def tells_environment(self) -> None:
        self.output("ok", numbers={"environment": dict(os.environ), "cwd": str(Path.cwd()), "path": sys.path})


if __name__ == "__main__":
    job = FakeJob(JobFolder(Path(sys.argv[1])))
    behaviours = job.spec.arguments["behaves"]
    getattr(job, behaviours[min(job.number, len(behaviours)) - 1])()
