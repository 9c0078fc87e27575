"""The order of training samples: a pure function of (seed, step), so that resuming needs no sampler state."""

import functools
from collections.abc import Iterator

import torch
from torch.utils.data import Sampler

from jobs.api import Draw
from jobs.randomness import generator


class Order(Sampler[list[Draw]]):
    """Global batches from step `start` to `stop`; every epoch is its own permutation, and batches run across epochs.

    With `repeats` > 1 an epoch still has `samples` draws: the first of its permutation, each `repeats` times in a row
    (repeated augmentation; Hoffer et al., "Augment Your Batch", CVPR 2020).
    """

    def __init__(self, samples: int, batch: int, seed: int, *, start: int, stop: int, repeats: int = 1) -> None:
        self.samples, self.batch, self.seed, self.repeats = samples, batch, seed, repeats
        self.start, self.stop = start, stop
        self._permutation = functools.lru_cache(maxsize=2)(self._permute)

    def __len__(self) -> int:
        return self.stop - self.start

    def __iter__(self) -> Iterator[list[Draw]]:
        for step in range(self.start, self.stop):
            yield [self._draw(position) for position in range(step * self.batch, (step + 1) * self.batch)]

    def _draw(self, position: int) -> Draw:
        epoch, place = divmod(position, self.samples)
        return epoch * self.repeats + place % self.repeats, self._permutation(epoch)[place // self.repeats]

    def _permute(self, epoch: int) -> list[int]:
        order: list[int] = torch.randperm(self.samples, generator=generator(self.seed, "order", epoch)).tolist()
        return order
