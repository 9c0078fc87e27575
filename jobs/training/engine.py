"""Who turns costs into better weights: an engine averages gradients over processes and updates the weights.

`Torch` is PyTorch itself, with DDP where there are several processes; DeepSpeed's stages are in `jobs.training.zero`.
Whichever it is, weights and optimizer state are read and given back in PyTorch's own form, so that a checkpoint can be
taken up by another engine or another number of processes.
"""

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from jobs.contract import JobSpec
from jobs.training.processes import Processes

Cost = Callable[[nn.Module], Tensor]
"""The weighted loss of one micro-batch, given the module to run it through."""
Weights = dict[str, Tensor]


class Engine(Protocol):
    """Trains one model."""

    optimizer: Any
    """Has `param_groups`, whose "lr" the loop sets before every step."""
    solo: bool
    """Whether one process can run the model alone; else all of them must, together."""

    def accumulate(self, cost: Cost, *, last: bool) -> Tensor:
        """Add the gradient of a micro-batch, the `last` one of a step or not; returns its detached cost."""
        ...

    def update(self) -> None:
        """Clip the gradients, take the optimizer's step, and forget them."""
        ...

    def weights(self) -> Weights:
        """The model's whole state; all processes must call."""
        ...

    def adopt(self, weights: Weights) -> None:
        """Give the model this state; all processes must call."""
        ...

    def state(self) -> dict[str, Any]:
        """The optimizer's whole state as torch.optim has it; all processes must call."""
        ...

    def restore(self, state: dict[str, Any]) -> None:
        """Give the optimizer this state; all processes must call."""
        ...


class Torch:
    """PyTorch's own optimizer; gradients are averaged by DistributedDataParallel."""

    solo = True

    def __init__(
        self,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        *,
        spec: JobSpec,
        processes: Processes,
        clip: float | None,
    ) -> None:
        self.model, self.optimizer, self.clip = model, optimizer, clip
        self._waits = processes.count > 1
        self._device, self._precision = processes.device, spec.precision
        prepared = torch.compile(model) if spec.compile else model
        self._module: Any = processes.wrap(prepared)  # type: ignore[arg-type]  # a compiled module is a module
        optimizer.zero_grad(set_to_none=True)

    def accumulate(self, cost: Cost, *, last: bool) -> Tensor:
        with self._module.no_sync() if self._waits and not last else nullcontext():
            with autocast(self._device, self._precision):
                loss = cost(self._module)
            loss.backward()
        return loss.detach()

    def update(self) -> None:
        if self.clip is not None:
            nn.utils.clip_grad_norm_(self.model.parameters(), self.clip)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)

    def weights(self) -> Weights:
        return self.model.state_dict()

    def adopt(self, weights: Weights) -> None:
        self.model.load_state_dict(weights)

    def state(self) -> dict[str, Any]:
        return self.optimizer.state_dict()

    def restore(self, state: dict[str, Any]) -> None:
        self.optimizer.load_state_dict(state)


def autocast(device: torch.device, precision: str) -> Any:
    """A context in which operations run in the spec's precision."""
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16")
