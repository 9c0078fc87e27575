"""What a process takes of each global batch: its share, cut into micro-batches."""

from typing import Any

from torch.utils.data import Dataset

from jobs.api import Draw, Task
from jobs.contract import JobSpec, Launch
from jobs.errors import JobError
from jobs.training.processes import Processes


class Share(Dataset[list[Any]]):
    """This process's share of each global batch, as micro-batches."""

    def __init__(self, task: Task, spec: JobSpec, launch: Launch, processes: Processes) -> None:
        self.task = task
        ranks = 1 if task.full_batch else processes.count
        batch = spec.global_batch
        if batch % ranks:
            fitting = ", ".join(str(n) for n in range(1, 9) if batch % n == 0)
            raise JobError(f"global_batch {batch} is not divisible by {ranks} processes; use {fitting} of them.")
        self.start = 0 if task.full_batch else processes.rank * (batch // ranks)
        self.size = batch // ranks
        self.micro = min(launch.micro_batch or self.size, self.size)
        if task.pairs:
            self.micro = max(2, self.micro - self.micro % 2)

    def __getitem__(self, draws: list[Draw]) -> list[tuple[float, Any]]:
        """(weight, micro-batch) pairs whose weights add up to 1."""
        own = draws[self.start : self.start + self.size]
        chunks = [own[at : at + self.micro] for at in range(0, len(own), self.micro)]
        return [(len(chunk) / len(own), self.task.batch(chunk)) for chunk in chunks]
