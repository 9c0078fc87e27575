"""Which nodes train, validate and test: a published split's column, or one drawn by class.

Source: Shchur, Mumme, Bojchevski, Günnemann, "Pitfalls of Graph Neural Network Evaluation", 2018: 20 training and 30
validating nodes of each class, the rest tests.
"""

import torch
from torch import Tensor
from torch_geometric.data import Data

from jobs.errors import DataError
from jobs.randomness import generator

PARTS = ("train", "val", "test")
_TRAIN, _VALIDATE = 20, 30


def masks(data: Data, split: str) -> dict[str, Tensor]:
    """(N,) masks by part. A name that ends in a number takes that column, or seeds the draw of a `random-` one.

    Raises:
        DataError: the files hold no such split.
    """
    kind, _, number = split.rpartition("-")
    if kind == "random":
        return drawn(data.y, int(number))
    found = {part: data[f"{part}_mask"].bool() for part in PARTS}
    columns = found["train"].shape[1] if found["train"].ndim == 2 else 0
    if not columns:
        return found
    if not number.isdigit() or int(number) >= columns:
        raise DataError(f"There is no split {split!r}; the files hold {columns}, numbered from 0.")
    return {part: mask[:, int(number)].contiguous() for part, mask in found.items()}


def drawn(labels: Tensor, number: int) -> dict[str, Tensor]:
    """The split of that number; the same on every machine and for every job seed."""
    rank, _ = rank_in_class(labels, generator(number, "split"))
    within = _TRAIN + _VALIDATE
    return {"train": rank < _TRAIN, "val": (rank >= _TRAIN) & (rank < within), "test": rank >= within}


def rank_in_class(labels: Tensor, draws: torch.Generator) -> tuple[Tensor, Tensor]:
    """Each node's place in a random order of its class, from 0, and its class's size."""
    rank, size = torch.zeros(len(labels)), torch.zeros(len(labels))
    for label in labels.unique():
        members = (labels == label).nonzero()[:, 0]
        order = torch.randperm(len(members), generator=draws)
        rank[members[order]] = torch.arange(len(members), dtype=rank.dtype)
        size[members] = len(members)
    return rank, size
