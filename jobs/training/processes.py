"""The processes of one job: torchrun's environment in, a process group and small collectives out."""

import os
from datetime import timedelta
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from jobs.portion import Portion

_PATIENCE = timedelta(hours=1)
"""How long a process waits for another; the supervisor's heartbeat and limits end a hanging job long before."""


class Processes:
    """This process's place among the job's processes; a job of one process needs no group."""

    def __init__(self) -> None:
        self.rank = int(os.environ.get("RANK", "0"))
        self.count = int(os.environ.get("WORLD_SIZE", "1"))
        self.device = torch.device("cpu")
        if torch.cuda.is_available():
            self.device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
            torch.cuda.set_device(self.device)
        if self.count > 1:
            backend = "nccl" if self.device.type == "cuda" else "gloo"
            distributed.init_process_group(backend, timeout=_PATIENCE)

    def join(self) -> None:
        """Make sure that there is a group, of one process if need be: DeepSpeed asks for one."""
        if not distributed.is_initialized():
            backend = "nccl" if self.device.type == "cuda" else "gloo"
            store = distributed.HashStore()  # type: ignore[attr-defined]  # documented, yet missing from its list
            distributed.init_process_group(backend, store=store, rank=0, world_size=1)

    @property
    def leads(self) -> bool:
        """Whether this is the process that writes files."""
        return self.rank == 0

    def wrap(self, model: nn.Module) -> nn.Module:
        """The model with gradients averaged over processes."""
        if self.count == 1:
            return model
        devices = [self.device.index] if self.device.type == "cuda" else None
        return DistributedDataParallel(model, device_ids=devices)

    def any(self, flag: bool) -> bool:
        """Whether `flag` holds in any process; all of them must call."""
        if self.count == 1:
            return flag
        value = torch.tensor(int(flag), device=self.device)
        distributed.all_reduce(value, op=distributed.ReduceOp.MAX)
        return bool(value.item())

    def mean(self, value: Tensor) -> Tensor:
        """The mean of a detached scalar over processes; all of them must call."""
        if self.count == 1:
            return value
        value = value.clone()
        distributed.all_reduce(value)
        return value / self.count

    def gather(self, item: Any) -> list[Any]:
        """Every process's `item`, in order of rank, in every process."""
        if self.count == 1:
            return [item]
        items: list[Any] = [None] * self.count
        distributed.all_gather_object(items, item)
        return items

    def broadcast(self, item: Any) -> Any:
        """The first process's `item`, in every process."""
        if self.count == 1:
            return item
        box = [item]
        distributed.broadcast_object_list(box, src=0)
        return box[0]

    @property
    def portion(self) -> Portion:
        """What this process does of work that all of them share."""
        return Portion(self.rank, self.count)

    def close(self) -> None:
        """Leave the group; gloo can abort the process at exit otherwise."""
        if distributed.is_initialized():
            distributed.destroy_process_group()
