"""What a job takes, beside its numbers: time, memory, energy, floating-point operations.

Operations are counted over one forward pass of one micro-batch in training mode, fused attention included, times
three: a backward pass does each product twice. Causal attention counts as if it were full, as is usual.
"""

import resource
import statistics
import time
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode, sdpa_flop_count

from jobs import randomness
from jobs.api import Task
from jobs.training.attempt import Progress, Run


class Bill:
    """What a job has taken so far, over all attempts but for what was lost with a kill."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.durations: list[float] = []  # of this attempt's steps [s]
        self._earlier_s = self._earlier_j = 0.0

    @property
    def wall_s(self) -> float:
        """Seconds."""
        return self._earlier_s + time.monotonic() - self.run.began

    @property
    def energy_j(self) -> float | None:
        """Joules, of all processes; None without a counter. All processes must ask."""
        counted = [joules for joules in self.run.processes.gather(self.run.meter.joules()) if joules is not None]
        return self._earlier_j + sum(counted) if counted else None

    @property
    def step_s(self) -> float | None:
        """Median seconds of a step in this attempt, the first one left out."""
        return statistics.median(self.durations[1:]) if len(self.durations) > 1 else None

    def note(self, progress: Progress) -> None:
        """Write into `progress`, for its checkpoint, what has been spent. All processes must call."""
        progress.wall_s, progress.energy_j = self.wall_s, self.energy_j or 0.0

    def resume(self, progress: Progress) -> None:
        """Go on from what a checkpoint says has been spent."""
        self._earlier_s, self._earlier_j = progress.wall_s, progress.energy_j

    def so_far(self) -> dict[str, float]:
        """What can be said on the way, by name. All processes must call."""
        step_s, batch = self.step_s, self.run.spec.global_batch
        found = {"peak_bytes": peak_bytes(self.run.processes.device), "energy_j": self.energy_j, "step_s": step_s}
        found["samples_per_s"] = batch / step_s if step_s else None
        return {name: value for name, value in found.items() if value is not None}

    def total(self, task: Task, model: nn.Module, progress: Progress, *, whole: bool = True) -> dict[str, Any]:
        """The result's `cost`. All processes must call.

        Operations are counted in every one, for layers that normalise over all of them wait for each other; not at all
        where no process has the `whole` model.
        """
        run, step_s = self.run, self.step_s
        device, batch = run.processes.device, run.spec.global_batch
        return {
            "wall_s": self.wall_s,
            "train_s": progress.train_s,
            "step_s": step_s,
            "samples_per_s": batch / step_s if step_s else None,
            "peak_bytes": max(run.processes.gather(peak_bytes(device))),
            "parameters": sum(getattr(p, "ds_numel", p.numel()) for p in model.parameters()),
            "step_flops": step_flops(task, model, batch) if whole else None,
            "energy_j": self.energy_j,
            "processes": run.processes.count,
            "engine": run.spec.engine,
            "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        }


def peak_bytes(device: torch.device) -> int:
    """The most memory this process has held so far: on its GPU, or resident."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def step_flops(task: Task, model: nn.Module, global_batch: int) -> int:
    """Floating-point operations of a training step over the whole global batch; leaves the random streams as they are.

    A multiplication and an addition count as two.
    """
    few = min(global_batch, 2)
    before, training = randomness.state(), model.training
    counter = operations()
    model.train()
    with torch.no_grad(), counter:
        task.loss(model, task.batch([(0, index % task.samples()) for index in range(few)]))
    model.train(training)
    randomness.restore(before)
    return round(3 * counter.get_total_flops() * (1 if task.full_batch else global_batch / few))


def operations() -> FlopCounterMode:
    """Counts operations in a `with` block, fused attention on a CPU among them."""
    return FlopCounterMode(display=False, custom_mapping=_FORMULAS)


def _attention(q: Any, k: Any, v: Any, *rest: Any, out_shape: Any = None, **named: Any) -> int:
    """The fused CPU kernel's, which torch's table lacks; shapes come in the place of tensors."""
    return int(sdpa_flop_count(q, k, v))


_FORMULAS = {torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: _attention}
