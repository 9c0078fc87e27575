"""What trains large models around a variant: recomputation in the backward pass, and the compiler."""

import torch
from torch import Tensor, nn

from jobs.api import Task
from jobs.check import tiny
from jobs.check.checks.building import hosts
from jobs.check.subject import Failed, Subject, distance
from jobs.hosts.stack import Stack

_SAME = 1e-4


def recomputation(subject: Subject) -> str:
    """With activation checkpointing every task's loss, gradients and buffers are the same."""
    for name, (task, model) in hosts(subject).items():
        plain, recomputed = model, tiny.built(task, subject.cls)
        for part in recomputed.modules():
            if isinstance(part, Stack):
                part.checkpointing = True
        batch = tiny.draws(task, name)
        expected, found = (_after_a_step(task, which, batch) for which in (plain, recomputed))
        if (off := distance(found, expected)) > _SAME:
            raise Failed(f"{name}: recomputing layers in the backward pass changes the gradients by {off:.2g}")
    return "the same gradients"


def compiled(subject: Subject) -> str:
    """The compiler captures every task's model, and the gradients stay the same."""
    graphs = 0
    for name, (task, model) in hosts(subject).items():
        batch = tiny.draws(task, name)
        expected = _after_a_step(task, model, batch)
        torch._dynamo.reset()
        torch._dynamo.utils.counters.clear()
        fresh = tiny.built(task, subject.cls)
        captured = torch.compile(fresh, backend="aot_eager")
        assert isinstance(captured, nn.Module)
        found = _after_a_step(task, captured, batch)
        if (off := distance(found, expected)) > _SAME:
            raise Failed(f"{name}: compiled, the gradients differ by {off:.2g}")
        graphs += torch._dynamo.utils.counters["stats"]["unique_graphs"]
    torch._dynamo.reset()
    if graphs == 0:
        raise Failed("the compiler captured nothing")
    return f"{graphs} graphs"


def _after_a_step(task: Task, model: nn.Module, batch: object) -> list[Tensor]:
    """The loss, every gradient, and the buffers afterwards."""
    loss, gradients = tiny.gradients(task, model, batch)
    kept = [buffer.double() for buffer in model.buffers() if buffer.is_floating_point()]
    return [loss.clone(), *(part.clone() for part in gradients.values() if part is not None), *kept]
