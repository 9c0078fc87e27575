"""The training loop that every task shares: resume, step, validate, checkpoint, stop.

A run that was interrupted and resumed any number of times leaves the same numbers as one that never stopped
(bit for bit on CPU): batches are a function of the step, and a checkpoint holds weights, optimizer, random
streams of every process, and what validation has seen so far.
"""

import dataclasses
import math
import time
from collections.abc import Iterator
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from jobs import randomness
from jobs.api import Task
from jobs.errors import JobError, NotFinite, Preempted
from jobs.metrics import smoothness
from jobs.portion import Portion
from jobs.training import checkpoint
from jobs.training.attempt import Progress, Run
from jobs.training.average import Average
from jobs.training.cost import Bill
from jobs.training.engine import Engine, Torch, Weights, autocast
from jobs.training.order import Order
from jobs.training.share import Share
from jobs.training.stop import leave_stopping_to_the_job
from jobs.training.writer import Writer, snapshot

_CURVE_POINTS = 100
"""Training losses reported per job, at steps that depend on the spec alone."""
_REPORTS = 4
"""Times that over-smoothing and costs are reported on the way, beside the end."""


class Trainer:
    """Trains `model` on `task` and leaves the selected weights in it."""

    def __init__(self, run: Run, task: Task, model: nn.Module) -> None:
        self.run, self.task, self.model = run, task, model
        self.progress = Progress()
        document = self._found()
        if document is not None:  # before the engine, which may divide the weights among processes
            model.load_state_dict(document["model"])
        self.engine = _engine(run, task, model)
        self._rates = [group["lr"] for group in self.engine.optimizer.param_groups]
        self.average = Average(model, task.average) if task.average is not None else None
        task.portion = run.processes.portion if self.engine.solo else Portion()
        self._writer = Writer()
        self.bill = Bill(run)
        self._loss = math.nan
        self._saved_at = time.monotonic()
        self._best: tuple[int, Weights] | None = None  # best weights so far that are not on disk yet
        self._previous_best: int | None = None  # of the checkpoint before the newest
        self._document = document

    def train(self) -> None:
        """Run the steps that are left.

        Raises:
            Preempted: the job was asked to stop; a checkpoint is on disk.
            NotFinite: the loss became NaN or infinite.
        """
        self._resume()
        self.model.train()
        with self.run.stop.at_step_end(), self._writer:
            for batches in self._batches():
                self._step(batches)
                self._after_step()
                if self.progress.finished:
                    break
        self.run.processes.any(False)  # everybody waits for the best weights to be on disk
        self._select()

    def evaluate(self, part: Literal["val", "test"]) -> dict[str, float]:
        """Every metric of the task, known to all processes."""
        values: dict[str, float] = {}
        if self.run.processes.leads or self.task.evaluates_together or not self.engine.solo:
            self.model.eval()
            with torch.no_grad(), autocast(self.run.processes.device, self.run.spec.precision):
                values = self.task.evaluate(self.model, part, lambda: self._beat("evaluate"))
            self.model.train()
        values = self.run.processes.broadcast(values)
        wrong = [name for name, value in values.items() if not math.isfinite(value)]
        if wrong:
            raise NotFinite(f"{part}/{wrong[0]} is {values[wrong[0]]} after step {self.progress.step}.")
        return values

    def profile(self) -> list[smoothness.Row]:
        """The over-smoothing metrics of every layer on the task's fixed evaluation batch; empty where not leading."""
        if not self.run.processes.leads and self.engine.solo:
            return []
        rows = smoothness.profile(self.task, self.model)
        for row in rows:
            wrong = [name for name in smoothness.METRICS if not math.isfinite(row[name])]
            if wrong:
                place = f"{row['site']} {wrong[0]} of {row['stack']} layer {row['layer']}"
                raise NotFinite(f"The {place} is {row[wrong[0]]} after step {self.progress.step}.")
        self.run.events.write("profile", step=self.progress.step, rows=rows)
        return rows

    def _batches(self) -> Iterator[list[tuple[float, Any]]]:
        if self.progress.finished:
            return iter(())
        spec, task = self.run.spec, self.task
        start, repeats = self.progress.step, task.repeats
        order = Order(task.samples(), spec.global_batch, spec.seed, start=start, stop=spec.steps, repeats=repeats)
        return iter(
            DataLoader(
                Share(task, spec, self.run.launch, self.run.processes),
                batch_size=None,
                sampler=order,
                num_workers=self.run.launch.workers,
                generator=torch.Generator(),  # a loader draws when it starts, which would shift the stream on resuming
                pin_memory=self.run.processes.device.type == "cuda",
                worker_init_fn=leave_stopping_to_the_job,
            )
        )

    def _step(self, batches: list[tuple[float, Any]]) -> None:
        began = time.monotonic()
        step = self.progress.step
        for group, rate in zip(self.engine.optimizer.param_groups, self._rates, strict=True):
            group["lr"] = rate * self.task.rate(step, self.run.spec.steps)
        parts = [self._accumulate(weight, batch, last=batch is batches[-1][1]) for weight, batch in batches]
        loss = float(torch.stack(parts).sum())  # one wait for the device a step
        if not math.isfinite(loss):
            raise NotFinite(f"The training loss is {loss} at step {step + 1} of {self.run.spec.steps}.")
        self.engine.update()
        if self.average is not None:
            self.average.update()
        self._loss = loss
        self.bill.durations.append(time.monotonic() - began)
        self.progress.train_s += self.bill.durations[-1]

    def _accumulate(self, weight: float, batch: Any, *, last: bool) -> Tensor:
        return self.engine.accumulate(lambda module: self.task.loss(module, batch) * weight, last=last)

    def _after_step(self) -> None:
        self.progress.step += 1
        step, steps = self.progress.step, self.run.spec.steps
        self._beat("train", loss=self._loss)
        if step % max(1, steps // _CURVE_POINTS) == 0 or step == steps:
            loss = self.run.processes.mean(torch.tensor(self._loss, device=self.run.processes.device)).item()
            self.run.events.write("metrics", step=step, values={"train/loss": loss})
        if self.task.evaluate_every and step % self.task.evaluate_every == 0:
            self._validate()
        if step % max(1, steps // (_REPORTS + 1)) == 0 and step < steps:
            self._report()
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

    def _report(self) -> None:
        """Over-smoothing and costs as events."""
        self.profile()
        values = {f"cost/{name}": value for name, value in self.bill.so_far().items()}
        self.run.events.write("metrics", step=self.progress.step, values=values)

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
            weights = self.engine.weights()
            self._best = (step, snapshot(weights)) if self.run.processes.leads else None

    def _save(self) -> None:
        self.bill.note(self.progress)
        document = {
            "progress": dataclasses.asdict(self.progress),
            "model": self.engine.weights(),
            "optimizer": self.engine.state(),
            "average": self.average.values if self.average is not None else None,
            "streams": self.run.processes.gather(randomness.state()),
        }
        if self.run.processes.leads:
            self._writer.wait()
            self._writer.submit(self._writing(snapshot(document)))
        self._previous_best = self.progress.best_step
        self._saved_at = time.monotonic()

    def _writing(self, document: dict[str, Any]) -> Any:
        """What the writer's thread does: the best weights first, so that no checkpoint refers to missing ones."""
        folder, best, kept = self.run.folder.checkpoints, self._best, (self._previous_best, self.progress.best_step)
        step = self.progress.step
        self._best = None

        def write() -> None:
            if best is not None:
                checkpoint.save(checkpoint.best(folder, best[0]), {"step": best[0], "model": best[1]})
            checkpoint.save_step(folder, step, document)
            checkpoint.drop_best(folder, keep=kept)
            self.run.events.write("checkpoint", step=step)

        return write

    def _found(self) -> dict[str, Any] | None:
        """The newest sound checkpoint."""
        document, damaged = checkpoint.newest(self.run.folder.checkpoints)
        for path in damaged:
            print(f"Checkpoint {path.name} is damaged (its checksum does not match); an earlier state is used.")
        if self.run.processes.leads:
            checkpoint.tidy(self.run.folder.checkpoints, damaged)
        return document

    def _resume(self) -> None:
        document, self._document = self._document, None
        if document is None:
            return
        self.progress = Progress(**document["progress"])
        self.bill.resume(self.progress)
        self._previous_best = self.progress.best_step
        self.engine.restore(document["optimizer"])
        if self.average is not None:
            self.average.restore(document["average"])
        streams = document["streams"]
        if self.task.full_batch:  # every process draws the same
            randomness.restore(streams[0])
        elif len(streams) == self.run.processes.count:
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
            self.engine.adopt(best["model"])
        weights = self.engine.weights()
        if self.run.processes.leads:
            checkpoint.save(final, {"step": self.progress.step, "model": weights})


def _engine(run: Run, task: Task, model: nn.Module) -> Engine:
    """What the spec asks for.

    Raises:
        JobError: the task cannot be trained by it.
    """
    spec, processes = run.spec, run.processes
    if spec.engine not in task.engines:
        raise JobError(f"{spec.task} cannot be trained by {spec.engine!r}; use {', '.join(task.engines)}.")
    if spec.engine == "ddp":
        return Torch(model, task.optimizer(model), spec=spec, processes=processes, clip=task.clip)
    if spec.engine == "zero3" and task.average is not None:
        raise JobError("An average of the weights needs all of them in one place; use zero1, zero2 or ddp.")
    from jobs.training.zero import Zero  # DeepSpeed takes seconds to import

    return Zero(model, task.optimizer(model), spec=spec, processes=processes, clip=task.clip)
