"""One attempt at a job from spec to numbers: load, build, train, evaluate, measure."""

from pathlib import Path
from typing import Any

import torch
from torch import nn

from jobs import provenance, randomness, registry
from jobs.api import Plug, Task, Variant
from jobs.contract import JobSpec, Result, write_json
from jobs.training.attempt import Run
from jobs.training.cost import peak_bytes, step_flops
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
    note_provenance(run, digest)
    run.events.write("phase", phase="train")
    task.fit(model, trainer.engine.optimizer, trainer.train)
    run.events.write("phase", phase="evaluate")
    numbers = _numbers(run, task, trainer)
    note_provenance(run, digest)
    return Result(id=spec.id, attempt=launch.attempt, status="ok", numbers=numbers, cost=_cost(run, task, trainer))


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


def note_provenance(run: Run, digest: str) -> None:
    """Written before training, for whoever resumes it, and again when all that decides a number is imported."""
    if run.processes.leads:
        found = provenance.describe(run.folder, run.spec, run.launch, digest)
        write_json(run.folder.attempt(run.launch.attempt).provenance, found)


def _numbers(run: Run, task: Task, trainer: Trainer) -> dict[str, Any]:
    values = trainer.evaluate("test")
    named = {metric.name: {"unit": metric.unit, "better": metric.better} for metric in task.metrics}
    if trainer.average is not None:
        with trainer.average.in_place():
            values |= {f"ema_{name}": value for name, value in trainer.evaluate("test").items()}
        named |= {f"ema_{name}": about for name, about in named.items()}
    step = trainer.progress.step
    run.events.write("metrics", step=step, values={f"test/{name}": value for name, value in values.items()})
    return {
        "primary": task.metrics[0].name,
        "metrics": {name: {"value": values[name]} | named[name] for name in named},
        "steps_done": step,
        "best_step": trainer.progress.best_step,
        "curve": trainer.progress.curve,
        "profile": trainer.profile(),
    }


def _cost(run: Run, task: Task, trainer: Trainer) -> dict[str, Any]:
    """The result's `cost`: sums and maxima over all processes."""
    device, spec, step_s = run.processes.device, run.spec, trainer.step_s
    counts = trainer.engine.solo  # in every process: layers that normalise over all of them wait for each other
    return {
        "wall_s": trainer.wall_s,
        "train_s": trainer.progress.train_s,
        "step_s": step_s,
        "samples_per_s": spec.global_batch / step_s if step_s else None,
        "peak_bytes": max(run.processes.gather(peak_bytes(device))),
        "parameters": sum(getattr(p, "ds_numel", p.numel()) for p in trainer.model.parameters()),
        "step_flops": step_flops(task, trainer.model, spec.global_batch) if counts else None,
        "energy_j": trainer.energy_j,
        "processes": run.processes.count,
        "engine": spec.engine,
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
    }
