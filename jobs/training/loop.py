"""The training loop that every task shares: resume, step, validate, checkpoint, stop.

A run that was interrupted and resumed any number of times leaves the same numbers as one that never stopped
(bit for bit on CPU): batches are a function of the step, and a checkpoint holds weights, optimizer, random
streams of every process, and what validation has seen so far.
"""

import dataclasses
import math
import statistics
import time
from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any, Literal

import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

from jobs import randomness
from jobs.api import Draw, Task
from jobs.contract import JobFolder, JobSpec, Launch
from jobs.errors import JobError, NotFinite, Preempted
from jobs.training import checkpoint
from jobs.training.events import Events
from jobs.training.order import Order
from jobs.training.processes import Processes
from jobs.training.stop import Stop

_CURVE_POINTS = 100
"""Training losses reported per job, at steps that depend on the spec alone."""


@dataclasses.dataclass(frozen=True)
class Run:
    """What one attempt works with."""

    spec: JobSpec
    launch: Launch
    folder: JobFolder
    events: Events
    processes: Processes
    stop: Stop
    began: float = dataclasses.field(default_factory=time.monotonic)


@dataclasses.dataclass
class Progress:
    """What a checkpoint carries beside weights, optimizer and random streams."""

    step: int = 0  # steps completed
    finished: bool = False
    train_s: float = 0.0
    wall_s: float = 0.0  # of all attempts, up to the checkpoint
    best_step: int | None = None
    best_value: float | None = None
    stale: int = 0  # validations since the best one
    curve: list[dict[str, float]] = dataclasses.field(default_factory=list)  # one entry per validation


class Share(Dataset[list[Any]]):
    """This process's share of each global batch, as micro-batches."""

    def __init__(self, task: Task, run: Run) -> None:
        self.task = task
        ranks = 1 if task.full_batch else run.processes.count
        batch = run.spec.global_batch
        if batch % ranks:
            fitting = ", ".join(str(n) for n in range(1, 9) if batch % n == 0)
            raise JobError(f"global_batch {batch} is not divisible by {ranks} processes; use {fitting} of them.")
        self.start = 0 if task.full_batch else run.processes.rank * (batch // ranks)
        self.size = batch // ranks
        self.micro = min(run.launch.micro_batch or self.size, self.size)

    def __getitem__(self, draws: list[Draw]) -> list[tuple[float, Any]]:
        """(weight, micro-batch) pairs whose weights add up to 1."""
        own = draws[self.start : self.start + self.size]
        chunks = [own[at : at + self.micro] for at in range(0, len(own), self.micro)]
        return [(len(chunk) / len(own), self.task.batch(chunk)) for chunk in chunks]


class Trainer:
    """Trains `model` on `task` and leaves the selected weights in it."""

    def __init__(self, run: Run, task: Task, model: nn.Module) -> None:
        self.run, self.task, self.model = run, task, model
        self.progress = Progress()
        self.optimizer = task.optimizer(model)
        self._rates = [group["lr"] for group in self.optimizer.param_groups]
        prepared = torch.compile(model) if run.spec.compile else model
        self._model = run.processes.wrap(prepared)  # type: ignore[arg-type]  # a compiled module is a module
        self._durations: list[float] = []
        self._loss = math.nan
        self._saved_at = time.monotonic()
        self._earlier_s = 0.0  # wall time of the attempts before this one
        self._previous_best: int | None = None  # of the checkpoint before the newest

    @property
    def wall_s(self) -> float:
        """Seconds this job has taken so far, over all attempts but for what was lost with a kill."""
        return self._earlier_s + time.monotonic() - self.run.began

    @property
    def step_s(self) -> float | None:
        """Median seconds of a step in this attempt, the first one left out."""
        return statistics.median(self._durations[1:]) if len(self._durations) > 1 else None

    def train(self) -> None:
        """Run the steps that are left.

        Raises:
            Preempted: the job was asked to stop; a checkpoint is on disk.
            NotFinite: the loss became NaN or infinite.
        """
        self._resume()
        self.model.train()
        with self.run.stop.at_step_end():
            for batches in self._batches():
                self._step(batches)
                self._after_step()
                if self.progress.finished:
                    break
        self._select()

    def evaluate(self, part: Literal["val", "test"]) -> dict[str, float]:
        """Every metric of the task, known to all processes."""
        values: dict[str, float] = {}
        if self.run.processes.leads or self.task.evaluates_together:
            self.model.eval()
            with torch.no_grad(), self._autocast():
                values = self.task.evaluate(self.model, part, lambda: self._beat("evaluate"))
            self.model.train()
        values = self.run.processes.broadcast(values)
        wrong = [name for name, value in values.items() if not math.isfinite(value)]
        if wrong:
            raise NotFinite(f"{part}/{wrong[0]} is {values[wrong[0]]} after step {self.progress.step}.")
        return values

    def _batches(self) -> Iterator[list[tuple[float, Any]]]:
        if self.progress.finished:
            return iter(())
        spec = self.run.spec
        order = Order(
            self.task.samples(),
            spec.global_batch,
            spec.seed,
            start=self.progress.step,
            stop=spec.steps,
            repeats=self.task.repeats,
        )
        share = Share(self.task, self.run)
        return iter(
            DataLoader(
                share,
                batch_size=None,
                sampler=order,
                num_workers=self.run.launch.workers,
                generator=torch.Generator(),  # a loader draws when it starts, which would shift the stream on resuming
            )
        )

    def _step(self, batches: list[tuple[float, Any]]) -> None:
        began = time.monotonic()
        step = self.progress.step
        for group, rate in zip(self.optimizer.param_groups, self._rates, strict=True):
            group["lr"] = rate * self.task.rate(step, self.run.spec.steps)
        self.optimizer.zero_grad(set_to_none=True)
        loss = sum(self._backward(weight, batch, last=batch is batches[-1][1]) for weight, batch in batches)
        if not math.isfinite(loss):
            raise NotFinite(f"The training loss is {loss} at step {step + 1} of {self.run.spec.steps}.")
        if self.task.clip is not None:
            nn.utils.clip_grad_norm_(self.model.parameters(), self.task.clip)
        self.optimizer.step()
        self._loss = loss
        self._durations.append(time.monotonic() - began)
        self.progress.train_s += self._durations[-1]

    def _backward(self, weight: float, batch: Any, *, last: bool) -> float:
        waits = not last and self.run.processes.count > 1
        with self._model.no_sync() if waits else nullcontext():  # type: ignore[operator]  # only DDP has it
            with self._autocast():
                loss = self.task.loss(self._model, batch) * weight
            loss.backward()
        return float(loss.detach())

    def _after_step(self) -> None:
        self.progress.step += 1
        step, steps = self.progress.step, self.run.spec.steps
        self._beat("train", loss=self._loss)
        if step % max(1, steps // _CURVE_POINTS) == 0 or step == steps:
            loss = self.run.processes.mean(torch.tensor(self._loss, device=self.run.processes.device)).item()
            self.run.events.write("metrics", step=step, values={"train/loss": loss})
        if self.task.evaluate_every and step % self.task.evaluate_every == 0:
            self._validate()
        impatient = self.task.patience is not None and self.progress.stale >= self.task.patience
        self.progress.finished = step == steps or impatient
        stop = self.run.processes.any(self.run.stop.requested)
        due = time.monotonic() - self._saved_at >= self.run.launch.checkpoint_s
        if self.progress.finished or stop or self.run.processes.any(due):
            self._save()
        if stop and not self.progress.finished:
            raise Preempted(f"Stopped after step {step} of {steps}; the checkpoint is written.")

    def _beat(self, phase: str, **fields: float) -> None:
        self.run.events.write("step", phase=phase, step=self.progress.step, steps=self.run.spec.steps, **fields)

    def _validate(self) -> None:
        values = self.evaluate("val")
        step, progress = self.progress.step, self.progress
        self.run.events.write("metrics", step=step, values={f"val/{name}": value for name, value in values.items()})
        progress.curve.append({"step": step} | values)
        selection = self.task.selection
        if selection is None:
            return
        progress.stale += 1
        if selection.improved(values[selection.name], progress.best_value):
            progress.best_step, progress.best_value, progress.stale = step, values[selection.name], 0
            if self.run.processes.leads:
                document = {"step": step, "model": self.model.state_dict()}
                checkpoint.save(checkpoint.best(self.run.folder.checkpoints, step), document)

    def _save(self) -> None:
        self.progress.wall_s = self.wall_s
        streams = self.run.processes.gather(randomness.state())
        if self.run.processes.leads:
            document = {
                "progress": dataclasses.asdict(self.progress),
                "model": self.model.state_dict(),
                "optimizer": self.optimizer.state_dict(),
                "streams": streams,
            }
            checkpoint.save_step(self.run.folder.checkpoints, self.progress.step, document)
            checkpoint.drop_best(self.run.folder.checkpoints, keep=(self._previous_best, self.progress.best_step))
            self.run.events.write("checkpoint", step=self.progress.step)
        self._previous_best = self.progress.best_step
        self._saved_at = time.monotonic()

    def _resume(self) -> None:
        document, damaged = checkpoint.newest(self.run.folder.checkpoints)
        for path in damaged:
            print(f"Checkpoint {path.name} is damaged (its checksum does not match); an earlier state is used.")
        if document is None:
            return
        self.progress = Progress(**document["progress"])
        self._earlier_s, self._previous_best = self.progress.wall_s, self.progress.best_step
        self.model.load_state_dict(document["model"])
        self.optimizer.load_state_dict(document["optimizer"])
        streams = document["streams"]
        if len(streams) == self.run.processes.count:
            randomness.restore(streams[self.run.processes.rank])
        else:
            place = ("train", self.progress.step, self.run.processes.rank)
            randomness.seed_all(self.run.spec.seed, *place)
            print(f"Resumed on {self.run.processes.count} processes instead of {len(streams)}: new random streams.")
        self.run.events.write("resumed", step=self.progress.step)

    def _select(self) -> None:
        """Load the best checkpoint if the task selects, and publish the selected weights as final.pt."""
        final = self.run.folder.checkpoints / "final.pt"
        if self.progress.best_step is not None:
            path = checkpoint.best(self.run.folder.checkpoints, self.progress.best_step)
            best = checkpoint.load(path)
            if best is None:
                raise JobError(f"checkpoints/{path.name} is missing or damaged; delete checkpoints/ to train anew.")
            self.model.load_state_dict(best["model"])
        if self.run.processes.leads:
            checkpoint.save(final, {"step": self.progress.step, "model": self.model.state_dict()})

    def _autocast(self) -> Any:
        enabled = self.run.spec.precision == "bfloat16"
        return torch.autocast(self.run.processes.device.type, torch.bfloat16, enabled=enabled)
