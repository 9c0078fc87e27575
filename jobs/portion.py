"""Which part of some work a process does when all processes of a job share it, and adding up what they found."""

import dataclasses
from collections.abc import Sequence
from typing import TypeVar

from torch import Tensor, distributed

_T = TypeVar("_T")


@dataclasses.dataclass(frozen=True)
class Portion:
    """Every `count`-th item from `rank` on; the default is all of them."""

    rank: int = 0
    count: int = 1

    def of(self, items: Sequence[_T]) -> Sequence[_T]:
        """This process's items.

        >>> Portion(1, 3).of(range(8))
        range(1, 8, 3)
        """
        return items[self.rank :: self.count]

    def total(self, values: Tensor) -> Tensor:
        """The sum of every process's `values`, in all of them; all must call."""
        if self.count == 1:
            return values
        summed = values.cuda() if distributed.get_backend() == "nccl" else values.clone()
        distributed.all_reduce(summed)
        return summed.to(values.device)
