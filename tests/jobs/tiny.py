"""The smallest setting of each task that still has three layers, dropout off: what host tests are parametrised over."""

import dataclasses
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from jobs import registry
from jobs.api import Layer, Plug, Task, Variant
from jobs.contract import JobFolder, JobSpec, Launch, Result
from jobs.randomness import seed_all
from jobs.training.run import plug

ROOT = Path(__file__).parents[2]


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
    seed_all(0, "weights")
    return task.build(_plug(variant, arguments))


def _plug(variant: str | type[Variant], arguments: dict[str, Any]) -> Plug:
    if isinstance(variant, str):
        return plug(spec("graph", variant, variant_arguments=arguments), registry.variant(variant))

    def make(layer: Layer) -> Variant:
        return variant(layer, **arguments)

    return make


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


def place(folder: Path, job: JobSpec, **launch: Any) -> JobFolder:
    """Write the job's spec and its next launch into `folder`."""
    found = JobFolder(folder)
    job.save(found.spec)
    attempt = (found.attempts() or [0])[-1] + 1
    Launch(attempt=attempt, **launch).save(found.attempt(attempt).launch)
    return found


def start(folder: JobFolder, *, processes: int = 1, python: str = sys.executable) -> subprocess.Popen[str]:
    """Start the job in a child process, as the local runtime does."""
    several = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    command = [python, *(several if processes > 1 else []), "-m", "jobs", str(folder.root)]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        command, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
    )


def finish(folder: JobFolder, **options: Any) -> tuple[int, str, Result | None]:
    """Run the job to its end: exit code, log and result."""
    process = start(folder, **options)
    log, _ = process.communicate(timeout=300)
    output = folder.attempt(folder.attempts()[-1]).output
    return process.returncode, log, Result.load(output) if output.exists() else None


def wait_for(condition: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    """Return once `condition` holds; fail if the process ends first."""
    while not condition():
        assert process.poll() is None, f"The job ended too early: {process.communicate()[0]}"
        time.sleep(0.01)
