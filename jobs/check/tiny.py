"""The smallest setting of each task that still has three layers, dropout off: what hosts are checked on."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from jobs import registry
from jobs.api import Task, Variant
from jobs.contract import JobSpec
from jobs.randomness import seed_all


@dataclasses.dataclass(frozen=True)
class Setting:
    """A task's data and arguments, and the samples of one batch."""

    data: str
    arguments: Mapping[str, Any]
    batch: int
    task: str | None = None  # where it is not the setting's name


SETTINGS = {
    "classification": Setting("digits", {"depth": 3, "width": 8, "heads": 2, "train_area": 0.5}, 4),
    "graph": Setting("karate", {"depth": 3, "width": 8, "dropout": 0.0}, 1),
    "language": Setting(
        "pydoc",
        {"depth": 3, "width": 8, "heads": 2, "ffn": 16, "context": 16, "context_window": 8, "dropout": 0.0},
        4,
    ),
    "segmentation": Setting("scenes", {"depth": 3, "decoder_depth": 3, "width": 8, "heads": 2, "patch": 8}, 4),
}

HOSTS = SETTINGS | {
    "modern language": Setting(
        "pydoc", {**SETTINGS["language"].arguments, "architecture": "modern", "heads": 4, "kv_heads": 2}, 4, "language"
    ),
    **{
        f"graph {name}": Setting("karate", {"depth": 3, "width": 8, "dropout": 0.0} | arguments, batch, "graph")
        for name, arguments, batch in (
            ("gat", {"model": "gat", "heads": 2}, 1),
            ("sgc", {"model": "sgc"}, 1),
            ("gcnii", {"model": "gcnii"}, 1),
            ("appnp", {"model": "appnp"}, 1),
            ("dagnn", {"model": "dagnn"}, 1),
            ("gprgnn", {"model": "gprgnn"}, 1),
            ("sampled", {"sampling": "neighbour", "fanout": 3}, 4),
        )
    },
}
"""The tasks' settings, and further hosts that a task can choose."""


def spec(task: str, variant: str = "softmax", **changes: Any) -> JobSpec:
    """A job of six steps on the tiny setting of `task`, one of HOSTS."""
    setting = HOSTS[task]
    fields: dict[str, Any] = {
        "task": setting.task or task,
        "data": setting.data,
        "split": "default",
        "arguments": dict(setting.arguments),
        "variant": variant,
        "variant_arguments": {},
        "seed": 0,
        "steps": 6,
        "global_batch": setting.batch,
    }
    return JobSpec(**fields | changes)


def loaded(name: str) -> Task:
    """The task on its tiny setting, data read."""
    setting = HOSTS[name]
    task = registry.task(setting.task or name)(**setting.arguments)
    task.load(setting.data, "default", None, 0)
    return task


def built(task: Task, variant: str | type[Variant], **arguments: Any) -> nn.Module:
    """The task's host with `variant` in every layer, as a job of seed 0 builds it."""
    cls = registry.variant(variant) if isinstance(variant, str) else variant
    seed_all(0, "weights")
    return task.build(registry.plug(cls, cls.__name__, arguments, seed=0))


def draws(task: Task, name: str, *, epoch: int = 0) -> Any:
    """A batch of the task's tiny setting."""
    count = HOSTS[name].batch
    return task.batch([(epoch, index % task.samples()) for index in range(count)])


def gradients(task: Task, model: nn.Module, batch: Any) -> tuple[Tensor, dict[str, Tensor | None]]:
    """Training loss and the gradient of every parameter."""
    model.train()
    model.zero_grad()
    seed_all(0, "gradients")
    loss = task.loss(model, batch)
    loss.backward()
    return loss.detach(), {name: parameter.grad for name, parameter in model.named_parameters()}
