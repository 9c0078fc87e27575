"""mmengine's Runner around a job: its train loop is the shared one, its val and test loops measure.

Seeding, weights, checkpoints and logs are the job's affair, so the Runner is kept from all four: it draws no random
number, touches no weight and leaves no file.
"""

import functools
import itertools
import tempfile
from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import nn
from torch.utils.data import DataLoader

from jobs.data.labelled import IGNORED, Parts
from jobs.openmmlab import (
    LOOPS,
    BaseLoop,
    DefaultSampler,
    Hook,
    IoUMetric,
    OptimWrapper,
    Runner,
    SegTTAModel,
    Visualizer,
    broadcast,
    pseudo_collate,
)

_numbers = itertools.count()
"""Names Runners apart: mmengine keeps loggers and message hubs by name for the whole process."""
_NO_HOOKS = dict.fromkeys(("runtime_info", "timer", "sampler_seed", "logger", "param_scheduler", "checkpoint"))


@LOOPS.register_module()
class SharedLoop(BaseLoop):
    """A train loop that is a call: `train()` draws its own batches and keeps its own count."""

    iter = max_iters = 0

    def __init__(self, runner: Any, dataloader: Any, train: Callable[[], None]) -> None:
        super().__init__(runner, dataloader)
        self._train = train

    def run(self) -> nn.Module:
        self.runner.call_hook("before_train")
        self._train()
        self.runner.call_hook("after_train")
        model: nn.Module = self.runner.model
        return model


class JobRunner(Runner):
    """A Runner that leaves random streams and weights as it finds them."""

    def set_randomness(self, seed: int | None, diff_rank_seed: bool = False, deterministic: bool = False) -> None:
        """Seed nothing: the job has, and resuming restores its streams."""
        self._seed, self._deterministic = seed, deterministic

    def _init_model_weights(self) -> None:
        """Initialise nothing: the task's `build`, an upstream job or a checkpoint has."""

    def _log_env(self, env_cfg: Any) -> None:
        """Collect nothing: provenance.json has it, and mmengine would start compilers to ask their versions."""


class Beat(Hook):
    """Calls `beat` after every batch of an evaluation."""

    def __init__(self) -> None:
        self.beat: Callable[[], None] = _silent

    def after_val_iter(self, *arguments: Any, **named: Any) -> None:
        self.beat()

    def after_test_iter(self, *arguments: Any, **named: Any) -> None:
        self.beat()


def fit(model: nn.Module, optimizer: torch.optim.Optimizer, parts: Parts, train: Callable[[], None]) -> None:
    """Run `train` as the train loop of a Runner."""
    runner = _runner(
        model,
        train_dataloader=_loader(parts.train, 1),
        train_cfg={"type": "SharedLoop", "train": lambda: train()},  # mmengine copies this deeply, a function as it is
        optim_wrapper=OptimWrapper(optimizer),
    )
    runner.train()


class Evaluation:
    """The val and test loops of Runners, with mmsegmentation's IoUMetric; all processes of a job take part.

    The last process's share may be filled up with pictures that others have: IoUMetric drops those again, so that
    every picture counts once.
    """

    def __init__(self, model: nn.Module, parts: Parts, workers: int = 0) -> None:
        self.model, self.parts, self.workers = model, parts, workers
        self._hook = Beat()
        self._runner = _runner(
            model,
            val_dataloader=_loader(parts.val, parts.batch, workers),
            val_cfg={},
            val_evaluator=_metric(),
            **self._tests(parts.test),
        )

    @functools.cached_property
    def _scaled(self) -> JobRunner:
        """A Runner over the test part at several scales, for those who ask."""
        return _runner(SegTTAModel(self.model), **self._tests(self.parts.scaled))

    def _tests(self, dataset: Any) -> dict[str, Any]:
        return {
            "test_dataloader": _loader(dataset, self.parts.batch, self.workers),
            "test_cfg": {},
            "test_evaluator": _metric(),
            "custom_hooks": [self._hook],
        }

    def run(self, part: Literal["val", "test"], beat: Callable[[], None]) -> dict[str, float]:
        """mIoU, mAcc and aAcc [%] of a part; `beat()` is called after each batch."""
        return self._measure(self._runner.val if part == "val" else self._runner.test, beat)

    def run_scaled(self, beat: Callable[[], None]) -> dict[str, float]:
        """The same of the test part from probabilities averaged over scales and mirror images.

        mmcv's flips draw from NumPy's global stream, although their outcome is settled.
        """
        return self._measure(self._scaled.test, beat)

    def _measure(self, loop: Callable[[], Any], beat: Callable[[], None]) -> dict[str, float]:
        for buffer in self.model.buffers():  # running statistics: after a step every process has its own
            broadcast(buffer)
        self._hook.beat = beat
        try:
            found = loop()
        finally:
            self._hook.beat = _silent
        return {name: round(float(value), 2) for name, value in found.items()}  # float32, of two decimals


def _runner(model: nn.Module, **loops: Any) -> JobRunner:
    """A Runner on `model`; what it writes when it is made goes with a temporary folder."""
    name = f"job-{next(_numbers)}"
    with tempfile.TemporaryDirectory() as folder:
        return JobRunner(
            model,
            folder,
            default_hooks=dict(_NO_HOOKS),
            visualizer=Visualizer(name),
            log_level="ERROR",
            default_scope=None,
            experiment_name=name,
            **loops,
        )


def _loader(dataset: Any, batch: int, workers: int = 0) -> Any:
    """Pictures in order, dealt out to the processes of the job; draws nothing from the global random stream."""
    sampler = DefaultSampler(dataset, shuffle=False, seed=0)
    generator = torch.Generator()
    return DataLoader(
        dataset, batch, sampler=sampler, collate_fn=pseudo_collate, generator=generator, num_workers=workers
    )


def _metric() -> list[Any]:
    metric = IoUMetric(ignore_index=IGNORED, collect_device="gpu")  # "gpu" gathers by the group, "cpu" through files
    return [metric]


def _silent() -> None:
    """No heartbeat outside an evaluation."""
