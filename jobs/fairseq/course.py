"""A job's training by fairseq's own command, watched: events, validations, checkpoints, stopping and resuming.

fairseq-train's `main` builds the model, the optimizer and the batches and goes through the epochs. After each step it
calls `validate_and_save`; `Course.after_step` stands there and decides when to validate, save and stop, which leaves
fairseq's own functions to do it. A step's random numbers are seeded by its number, so a resumed run repeats them.
"""

import dataclasses
import functools
import math
import time
from pathlib import Path
from typing import Any

from fairseq import options, trainer, utils
from fairseq.distributed.utils import call_main
from fairseq_cli import train

from jobs.errors import JobError, NotFinite, Preempted
from jobs.fairseq import arguments
from jobs.fairseq.command import configuration, replaced
from jobs.fairseq.criteria import COST
from jobs.metrics.perplexity import perplexity
from jobs.tasks.language import Language
from jobs.training import checkpoint
from jobs.training.attempt import Progress, Run
from jobs.training.cost import Bill

_CURVE_POINTS = 100


class WatchedTrainer(trainer.Trainer):
    """fairseq's trainer, which fails where it would leave out a batch (no memory left) or write crash.pt."""

    def __init__(self, course: "Course", *given: Any) -> None:
        super().__init__(*given)
        self.course = course
        self.cost = math.nan  # of the last step [nat]

    def train_step(self, samples: list[Any], raise_oom: bool = True) -> Any:
        began = time.monotonic()
        try:
            log = super().train_step(samples, raise_oom=True)
        except FloatingPointError as error:
            step, steps = self.get_num_updates() + 1, self.course.run.spec.steps
            raise NotFinite(
                f"The training loss or its gradient is NaN or infinite at step {step} of {steps}."
            ) from error
        self.cost = float(log[COST])
        self.course.bill.durations.append(time.monotonic() - began)
        return log

    def valid_step(self, sample: Any, raise_oom: bool = False) -> Any:
        log = super().valid_step(sample, raise_oom)
        self.course.beat("evaluate")
        return log

    def save_checkpoint(self, filename: str, extra_state: Any) -> None:
        """Called by fairseq's crash handling only: the job's own checkpoint is the one to go on from."""


class Course:
    """One attempt's training."""

    def __init__(self, run: Run, task: Language) -> None:
        self.run, self.task = run, task
        self.progress = Progress()
        self.bill = Bill(run)
        self._saved_at = time.monotonic()
        self._previous_best: int | None = None

    def train(self, data: Path) -> None:
        """Run the steps that are left.

        Raises:
            Preempted: the job was asked to stop; a checkpoint is on disk.
            NotFinite: the loss or its gradient became NaN or infinite.
            JobError: fairseq ended without having trained.
        """
        run = self.run
        wanted = arguments.training(run.spec, run.launch, self.task, data=data, folder=run.folder)
        restored = self._resume()
        if not self.progress.finished:  # fairseq would take one more step
            if restored:
                wanted += ["--restore-file", str(restored)]
            self._follow(configuration(options.get_training_parser(), wanted))
        if not self.progress.finished:
            raise JobError(f"fairseq ended after step {self.progress.step} of {run.spec.steps} and gave no reason.")

    def after_step(
        self, cfg: Any, watched: WatchedTrainer, task: Any, epoch_itr: Any, subsets: list[str], end_of_epoch: bool
    ) -> tuple[list[float | None], bool]:
        """What fairseq's `validate_and_save` returns: validation losses, and whether to stop."""
        progress, run = self.progress, self.run
        progress.step = watched.get_num_updates()
        progress.train_s += self.bill.durations[-1]
        self.beat("train", loss=watched.cost)
        step, steps = progress.step, run.spec.steps
        if step % max(1, steps // _CURVE_POINTS) == 0 or step == steps:
            run.events.write("metrics", step=step, values={"train/loss": watched.cost})
        losses: list[float | None] = [None]
        if self.task.evaluate_every and step % self.task.evaluate_every == 0:
            losses = train.validate(cfg, watched, task, epoch_itr, subsets)
            self._note(float(losses[0] or math.nan), watched)
        impatient = self.task.patience is not None and progress.stale >= self.task.patience
        progress.finished = step == steps or impatient
        stop = run.processes.any(run.stop.requested)
        due = time.monotonic() - self._saved_at >= run.launch.checkpoint_s
        if progress.finished or stop or run.processes.any(due):
            self._save(watched, epoch_itr)
        if stop and not progress.finished:
            raise Preempted(f"Stopped after step {step} of {steps}; the checkpoint is written.")
        return losses, progress.finished

    def beat(self, phase: str, **fields: float) -> None:
        self.run.events.write("step", phase=phase, step=self.progress.step, steps=self.run.spec.steps, **fields)

    def weights(self) -> Path:
        """fairseq's checkpoint that is to be tested: the best validation's, or the last step's if there was none."""
        folder, best = self.run.folder.checkpoints, self.progress.best_step
        return folder / f"step-{self.progress.step}.pt" if best is None else checkpoint.best(folder, best)

    def _follow(self, cfg: Any) -> None:
        watched = functools.partial(WatchedTrainer, self)
        with replaced(train, Trainer=watched, validate_and_save=self.after_step), self.run.stop.at_step_end():
            call_main(cfg, train.main)

    def _note(self, loss: float, watched: WatchedTrainer) -> None:
        """Write one validation down, and keep the weights if it is the best."""
        step, progress = self.progress.step, self.progress
        if not math.isfinite(loss):
            raise NotFinite(f"val/loss is {loss} after step {step}.")
        values = {"perplexity": perplexity(loss), "loss": loss}
        self.run.events.write("metrics", step=step, values={f"val/{name}": value for name, value in values.items()})
        progress.curve.append({"step": step} | values)
        progress.stale += 1
        if self.task.selection.improved(loss, progress.best_value):
            progress.best_step, progress.best_value, progress.stale = step, loss, 0
            document = _state(watched, {})
            del document["last_optimizer_state"]
            if self.run.processes.leads:
                checkpoint.save(checkpoint.best(self.run.folder.checkpoints, step), document)

    def _save(self, watched: WatchedTrainer, epoch_itr: Any) -> None:
        self.bill.note(self.progress)
        document = _state(watched, {"train_iterator": epoch_itr.state_dict()})
        if self.run.processes.leads:
            document["progress"] = dataclasses.asdict(self.progress)
            checkpoint.save_step(self.run.folder.checkpoints, self.progress.step, document)
            checkpoint.drop_best(self.run.folder.checkpoints, keep=(self._previous_best, self.progress.best_step))
            self.run.events.write("checkpoint", step=self.progress.step)
        self._previous_best = self.progress.best_step
        self._saved_at = time.monotonic()

    def _resume(self) -> Path | None:
        """Take up the newest sound checkpoint's progress; returns its path."""
        document, damaged = checkpoint.newest(self.run.folder.checkpoints)
        for path in damaged:
            print(f"Checkpoint {path.name} is damaged (its checksum does not match); an earlier state is used.")
        if document is None:
            return None
        self.progress = Progress(**document["progress"])
        self.bill.resume(self.progress)
        self._previous_best = self.progress.best_step
        self.run.events.write("resumed", step=self.progress.step)
        return self.run.folder.checkpoints / f"step-{self.progress.step}.pt"


def _state(watched: WatchedTrainer, extra: dict[str, Any]) -> dict[str, Any]:
    """fairseq's checkpoint, as its own `save_checkpoint` puts it together."""
    watched.consolidate_optimizer()
    document: dict[str, Any] = utils.move_to_cpu(watched.state_dict())
    document["extra_state"].update(extra)
    return document
