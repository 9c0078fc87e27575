"""The variants' formulas once more: looped, dense, float64, and importing nothing from the code under test.

Whoever adds a variant adds its formula and one line of FORMULAS. `before` gives the branch of one head of one sample
before the output projection, (N, D); `after` reshapes what the projection made of it, (N, C). Both take the variant's
arguments and learned parameters by name; a parameter with an entry per head arrives as that head's entry.
"""

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor


@dataclasses.dataclass(frozen=True)
class Head:
    """One head of one sample in one layer."""

    a: Tensor  # (N, N), the smoothing matrix
    j: Tensor  # (N, N), what A tends to as tokens agree
    v: Tensor  # (N, D)
    v0: Tensor  # (N, D), the first layer's values


def spread(matrix: Tensor, v: Tensor) -> Tensor:
    """matrix v, entry by entry of the matrix."""
    tokens = range(len(v))
    return torch.stack([sum((matrix[i, j] * v[j] for j in tokens), torch.zeros_like(v[0])) for i in tokens])


def softmax(h: Head) -> Tensor:
    return spread(h.a, h.v)


def neutreno(h: Head, *, lam: float) -> Tensor:
    return softmax(h) + lam * (h.v0 - h.v)


def centered(h: Head, *, gamma: float) -> Tensor:
    return softmax(h) - gamma * spread(h.j, h.v)


def attnscale(h: Head, *, w: Tensor) -> Tensor:
    return spread(h.j, h.v) + (1 + w) * spread(h.a - h.j, h.v)


def value_residual(h: Head, *, l1: float) -> Tensor:
    return spread(h.a, l1 * h.v0 + (1 - l1) * h.v)


def featscale(y: Tensor, mean: Tensor, *, s: Tensor, t: Tensor) -> Tensor:
    low = spread(mean, y)
    return y + s * low + t * (y - low)


@dataclasses.dataclass(frozen=True)
class Formula:
    """A variant's formula, with arguments away from its neutral point."""

    before: Callable[..., Tensor] = softmax
    after: Callable[..., Tensor] | None = None
    arguments: Mapping[str, Any] = dataclasses.field(default_factory=dict)


FORMULAS = {
    "attnscale": Formula(attnscale),
    "centered": Formula(centered, arguments={"gamma": 0.7}),
    "featscale": Formula(after=featscale),
    "neutreno": Formula(neutreno, arguments={"lam": 0.7}),
    "softmax": Formula(),
    "value_residual": Formula(value_residual, arguments={"l1": 0.3}),
}


def attention(q: Tensor, k: Tensor, allowed: Tensor) -> Tensor:
    """Softmax attention of one head: q, k (N, D), allowed (N, N) bool; every row allows something."""
    logits = torch.stack([torch.stack([(qi * kj).sum() / math.sqrt(len(qi)) for kj in k]) for qi in q])
    weights = torch.where(allowed, logits.exp(), torch.zeros_like(logits))
    return torch.stack([row / row.sum() for row in weights])


def averaging(allowed: Tensor) -> Tensor:
    """The matrix of plain means over what each row allows."""
    return torch.stack([row.double() / row.sum() for row in allowed])


def adjacency(pairs: list[tuple[int, int]], nodes: int) -> Tensor:
    """Undirected edges with self-loops, (N, N)."""
    matrix = torch.eye(nodes, dtype=torch.float64)
    for one, other in pairs:
        matrix[one, other] = matrix[other, one] = 1.0
    return matrix


def normalised(matrix: Tensor, kind: str) -> Tensor:
    """D^-1/2 (A + I) D^-1/2 or D^-1 (A + I)."""
    degree = matrix.sum(1)
    left = degree.sqrt() if kind == "symmetric" else degree
    right = degree.sqrt() if kind == "symmetric" else torch.ones_like(degree)
    return matrix / left[:, None] / right[None, :]


def consensus(matrix: Tensor, kind: str, components: list[list[int]]) -> Tensor:
    """u u^T with u ~ D^1/2 1 within each component, or the plain mean."""
    nodes = len(matrix)
    if kind == "row":
        return torch.full((nodes, nodes), 1 / nodes, dtype=torch.float64)
    projection = torch.zeros_like(matrix)
    for members in components:
        u = torch.zeros(nodes, dtype=torch.float64)
        u[members] = matrix.sum(1)[members].sqrt()
        projection += torch.outer(u, u) / u.dot(u)
    return projection
