"""One attempt at a job from spec to numbers: load, build, train, evaluate, measure."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from jobs import provenance, randomness, registry
from jobs.api import Plug, Task, Variant
from jobs.contract import JobSpec, Result, write_json
from jobs.metrics import smoothness
from jobs.training.attempt import Progress, Run
from jobs.training.loop import Trainer


def execute(run: Run) -> Result:
    """Do what the spec says.

    Raises:
        JobError: whatever ends a job early, by class.
    """
    spec, launch = run.spec, run.launch
    run.events.write("phase", phase="build")
    task = registry.task(spec.task)(**spec.arguments)
    task.global_batch, task.workers = spec.global_batch, launch.workers
    root = run.folder.root
    digest = task.load(spec.data, spec.split, Path(launch.data_root) if launch.data_root else None, spec.seed)
    model = build(task, plug(spec, variant_class(run)), spec.seed)
    if launch.upstream_file:
        task.initialise(model, root / launch.upstream_file)
    model.to(run.processes.device)
    randomness.seed_all(spec.seed, "train", 0 if task.full_batch else run.processes.rank)
    trainer = Trainer(run, task, model)
    note_provenance(run, task, digest)
    run.events.write("phase", phase="train")
    task.fit(model, trainer.engine.optimizer, trainer.train)
    run.events.write("phase", phase="evaluate")
    found = numbers(task, trainer.progress, _tested(run, trainer), trainer.profile())
    note_provenance(run, task, digest)
    bill = trainer.bill.total(task, trainer.model, trainer.progress, whole=trainer.engine.solo)
    return Result(id=spec.id, attempt=launch.attempt, status="ok", numbers=found, cost=bill)


def variant_class(run: Run) -> type[Variant]:
    """The spec's variant, from the copy in inputs/ if it comes from outside the repository."""
    if run.launch.variant_file:
        return registry.variant_from_file(run.folder.root / run.launch.variant_file)
    return registry.variant(run.spec.variant)


def plug(spec: JobSpec, cls: type[Variant]) -> Plug:
    """What hosts call per layer: builds the spec's variant there."""
    return registry.plug(cls, spec.variant, spec.variant_arguments, spec.seed)


def build(task: Task, make: Plug, seed: int) -> nn.Module:
    """The task's host, its weights drawn from the stream of (seed, "weights")."""
    randomness.seed_all(seed, "weights")
    return task.build(make)


def note_provenance(run: Run, task: Task, digest: str) -> None:
    """Written before training, for whoever resumes it, and again when all that decides a number is imported."""
    if run.processes.leads:
        found = provenance.describe(run.folder, run.spec, run.launch, {**task.further, "digest": digest})
        write_json(run.folder.attempt(run.launch.attempt).provenance, found)


def numbers(task: Task, progress: Progress, values: Mapping[str, float], rows: list[smoothness.Row]) -> dict[str, Any]:
    """The result's `numbers` from what the test part gave, `ema_` metrics among it, and the profile."""
    about = {metric.name: {"unit": metric.unit, "better": metric.better} for metric in task.metrics}
    about |= {f"ema_{name}": found for name, found in about.items() if f"ema_{name}" in values}
    return {
        "primary": task.metrics[0].name,
        "metrics": {name: {"value": values[name]} | found for name, found in about.items()},
        "steps_done": progress.step,
        "best_step": progress.best_step,
        "curve": progress.curve,
        "profile": rows,
    }


def _tested(run: Run, trainer: Trainer) -> dict[str, float]:
    """Every metric on the test part, and again under `ema_<metric>` where the weights were averaged."""
    values = trainer.evaluate("test")
    if trainer.average is not None:
        with trainer.average.in_place():
            values |= {f"ema_{name}": value for name, value in trainer.evaluate("test").items()}
    step = trainer.progress.step
    run.events.write("metrics", step=step, values={f"test/{name}": value for name, value in values.items()})
    return values
