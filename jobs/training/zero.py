"""DeepSpeed's ZeRO as an engine: optimizer state (1), gradients too (2), weights too (3) divided among processes.

Weights are loaded before DeepSpeed takes the model over, and a checkpoint holds the whole state in PyTorch's own form,
put together from every process's fragment: it can be resumed with another stage, engine or number of processes.

Source: Rajbhandari, Rasley, Ruwase, He, "ZeRO: Memory Optimizations Toward Training Trillion Parameter Models",
SC 2020.
"""

import importlib
import logging
import os
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.nn.functional import pad

from jobs.contract import JobSpec
from jobs.training.engine import Cost, Weights
from jobs.training.processes import Processes


class Zero:
    """DeepSpeed's engine around a model and a PyTorch optimizer."""

    def __init__(
        self,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        *,
        spec: JobSpec,
        processes: Processes,
        clip: float | None,
    ) -> None:
        self.model = model
        self._stage = int(spec.engine.removeprefix("zero"))
        self.solo = self._stage < 3
        self._parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        self._groups = [len(group["params"]) for group in optimizer.param_groups]
        processes.join()
        os.environ.setdefault("LOCAL_RANK", "0")  # torchrun sets it, and DeepSpeed insists on it
        deepspeed = _deepspeed()
        self._engine, *_ = deepspeed.initialize(
            model=model,
            optimizer=optimizer,
            config=_config(self._stage, spec.precision, clip),
            dist_init_required=False,
        )
        if spec.compile:
            self._engine.compile()
        self.optimizer = self._engine.optimizer

    def accumulate(self, cost: Cost, *, last: bool) -> Tensor:
        self._engine.set_gradient_accumulation_boundary(last)
        loss: Tensor = cost(self._engine)
        self._engine.backward(loss, scale_wrt_gas=False)
        return loss.detach()

    def update(self) -> None:
        self._engine.step()

    def weights(self) -> Weights:
        whole = self.model.state_dict()
        if self.solo:
            return whole
        names = {parameter: name for name, parameter in self.model.named_parameters()}
        for parameter in self._parameters:
            whole[names[parameter]] = self._whole(parameter, None)
        for name, parameter in self.model.named_parameters(remove_duplicate=False):  # tied weights have several names
            whole[name] = whole[names[parameter]]
        return whole

    @torch.no_grad()
    def adopt(self, weights: Weights) -> None:
        self._link()
        for name, parameter in self.model.named_parameters():  # the master copies, which `weights` reads in stage 3
            self._give(parameter, None, weights[name])
        with _deepspeed().zero.GatheredParameters(
            list(self.model.parameters()), modifier_rank=0, enabled=not self.solo
        ):
            self.model.load_state_dict(weights)

    def state(self) -> dict[str, Any]:
        self._link()
        flat = self._flat()
        known = self._inner.state[flat[0]] if flat else {}
        kept = [name for name in known if name != "step"]
        state = {}
        for index, parameter in enumerate(self._parameters):
            state[index] = {name: self._whole(parameter, name).clone() for name in kept}
            if "step" in known:
                state[index]["step"] = torch.as_tensor(known["step"]).clone()
        starts = [sum(self._groups[:at]) for at in range(len(self._groups))]
        groups = [
            {name: value for name, value in group.items() if name != "params"}
            | {"params": [*range(start, start + size)]}
            for group, start, size in zip(self._inner.param_groups, starts, self._groups, strict=True)
        ]
        return {"state": state, "param_groups": groups}

    @torch.no_grad()
    def restore(self, state: dict[str, Any]) -> None:
        entries = state["state"]
        if not entries:
            return
        for flat in self._flat():
            self._inner.state[flat] = {
                name: value.clone() if name == "step" else torch.zeros_like(flat) for name, value in entries[0].items()
            }
        self._link()
        for index, parameter in enumerate(self._parameters):
            for name in entries[index].keys() - {"step"}:
                self._give(parameter, name, entries[index][name])

    @property
    def _inner(self) -> torch.optim.Optimizer:
        """The PyTorch optimizer, which now works on this process's flat share."""
        inner: torch.optim.Optimizer = self._engine.optimizer.optimizer
        return inner

    def _flat(self) -> list[Tensor]:
        """What the inner optimizer updates in this process."""
        zero = self._engine.optimizer
        found: list[Tensor] = zero.single_partition_of_fp32_groups if self.solo else zero.fp32_partitioned_groups_flat
        return list(found)

    def _link(self) -> None:
        """Let every weight find its part of the flat state; the first step links groups before all have a state."""
        if self.solo and self._inner.state:
            self._engine.optimizer._hp_optimizer_states_linked = False
            self._engine.optimizer._lazy_init_hp_params_optimizer_state()

    def _whole(self, parameter: Any, name: str | None) -> Tensor:
        """A weight (None) or an entry of its optimizer state, put together from all processes."""
        found: Tensor
        if self.solo:
            found = parameter.get_full_hp_param(name)
        else:
            found = self._engine.optimizer.get_full_hp_param(parameter, name)
        return found.view(getattr(parameter, "ds_shape", parameter.shape))

    def _give(self, parameter: Any, name: str | None, value: Tensor) -> None:
        """Set this process's fragment of a weight (None) or of an entry of its optimizer state."""
        value = value.to(parameter.device)
        if self.solo:
            parameter.set_full_hp_param(value, name)
            return
        fragment, _ = self._engine.optimizer._get_fp32_opt_state_partition(parameter, False, name)
        size, rank = fragment.numel(), distributed.get_rank()
        flat = pad(value.flatten(), (0, size * distributed.get_world_size() - value.numel()))
        fragment.copy_(flat[rank * size : (rank + 1) * size])


def _config(stage: int, precision: str, clip: float | None) -> dict[str, Any]:
    return {
        "train_micro_batch_size_per_gpu": 1,  # the loop counts samples and weighs micro-batches itself
        "gradient_accumulation_steps": 1,
        "gradient_clipping": clip or 0.0,
        "steps_per_print": 2**62,
        "zero_allow_untested_optimizer": True,
        "zero_optimization": {"stage": stage, "contiguous_gradients": True},
        "torch_autocast": {"enabled": precision == "bfloat16", "dtype": "bfloat16"},
    }


def _deepspeed() -> Any:
    """The package, quiet, and without the operator that it would compile for shared-memory communication."""
    deepspeed = importlib.import_module("deepspeed")
    importlib.import_module("deepspeed.ops").__compatible_ops__["deepspeed_shm_comm"] = False
    logging.getLogger("DeepSpeed").setLevel(logging.ERROR)
    return deepspeed
