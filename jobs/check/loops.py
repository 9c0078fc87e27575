"""What a looped formula is written with: one sample in one layer, dense and in float64, as the paper's letters.

A formula is a second, dumb implementation of a variant, in a file that uses torch and nothing of the variant's. Its
module-level functions bear the names of the hooks they describe and take, beside what is listed here, the variant's
arguments, learned parameters and buffers that they name (dots become underscores):

    ARGUMENTS = {...}              arguments away from the neutral point
    TRAINING = True                if the formula is of training mode (random numbers: from the global stream)
    def head(h, ...)               (N, D), the branch of one head before the output projection; or, all heads at once,
    def heads(s, ...)              (H, N, D); without either it is A V
    def refine(y, s, ...)          (N, C), the branch after its output projection
    def enter(x, s, ...)           (N, C), what a norm receives
    def feed(y, s, ...)            (N, C), the feed-forward branch
    def leave(y, s, ...)           (N, C), what the layer hands on
    def penalty(y, s, ...)         (), the addition to the loss

In `head` a parameter with an entry for each head arrives as that head's entry.
"""

import dataclasses
from collections.abc import Sequence

import torch
from torch import Tensor


@dataclasses.dataclass(frozen=True, kw_only=True)
class Head:
    """One head of one sample in one layer: N tokens, D channels."""

    a: Tensor  # (N, N), the smoothing matrix
    j: Tensor  # (N, N), what A tends to as tokens agree
    v: Tensor  # (N, D)
    v0: Tensor  # (N, D), the first layer's values


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sample:
    """One sample in one layer: H heads, N tokens, C = H D channels."""

    layer: int
    depth: int
    a: Tensor  # (H, N, N), the smoothing matrices
    j: Tensor  # (N, N), what A tends to as tokens agree
    mean: Tensor  # (N, N), means over the tokens that are seen
    seen: Tensor  # (N, N) bool, whether the token down may see the one across; a graph's are all True
    order: Tensor  # (N, N) bool, the same but for padding, of which `enter`, `feed` and `leave` know nothing
    v: Tensor  # (H, N, D)
    v0: Tensor  # (H, N, D), the first layer's values
    x: Tensor  # (N, C), the layer's input
    x0: Tensor  # (N, C), the first layer's input
    ys: Sequence[Tensor]  # (N, C) each, the outputs of the layers up to this one
    q: Tensor | None = None  # (H, N, D), where A is softmax attention
    k: Tensor | None = None
    edges: Sequence[tuple[int, int]] = ()  # a graph's directed edges (source, target) without loops
    kind: str = ""  # "symmetric" or "row": how a graph's A is normalised

    def head(self, h: int) -> Head:
        return Head(a=self.a[h], j=self.j, v=self.v[h], v0=self.v0[h])


def spread(matrix: Tensor, v: Tensor) -> Tensor:
    """matrix v, entry by entry of the matrix: (N, N) and (N, D) to (N, D)."""
    tokens = range(len(v))
    return torch.stack([sum((matrix[i, j] * v[j] for j in tokens), torch.zeros_like(v[0])) for i in tokens])


def rows(scores: Tensor, allowed: Tensor) -> Tensor:
    """The softmax of each row of (N, N) over what is allowed; a row that allows nothing is 0."""
    found = []
    for row, may in zip(scores, allowed, strict=True):
        weights = torch.where(may, (row - row.max().detach()).exp(), torch.zeros_like(row))
        found.append(weights / weights.sum() if may.any() else weights)
    return torch.stack(found)


def normalised(edges: Sequence[tuple[int, int]], nodes: int, kind: str) -> Tensor:
    """D^-1/2 (A + I) D^-1/2 or D^-1 (A + I), targets down, D the in-degrees with loops: (N, N)."""
    matrix = torch.eye(nodes, dtype=torch.float64)
    for source, target in edges:
        matrix[target, source] = 1.0
    degree = matrix.sum(1)
    left = degree.sqrt() if kind == "symmetric" else degree
    right = degree.sqrt() if kind == "symmetric" else torch.ones_like(degree)
    return matrix / left[:, None] / right[None, :]
