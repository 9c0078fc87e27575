"""Attention over the edges of a graph as a smoothing operator: one row-stochastic matrix for each head.

    A_h[i, j] = softmax over j -> i of leaky_relu(source_h[j] + target_h[i]), self-loops included
    J v       = mean of v over nodes

A 1 = 1, so (A - J) v = A (v - J v).
Shapes: H heads, N nodes, D channels per head, E edges; values are (H, N, D). O(E H D), never an N x N matrix.
"""

import functools
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import leaky_relu

from jobs.errors import expect_declared
from jobs.operators.graph import Edges, mean_over_nodes

_SLOPE = 0.2
"""Of the leaky rectifier, as its authors have it."""


class EdgeAttention:
    """The attention of one layer on values (H, N, D); see `jobs.api.Smoothing`.

    Args:
        edges: where attention may look.
        scores: what a node adds as source and as target, (H, N) each.
        x: the layer's input, (1, N, C).
        memory: what earlier layers kept.
        thin: dropout of the attention weights, drawn once for each site.
    """

    needs: frozenset[str] = frozenset({"dense"})

    def __init__(
        self,
        edges: Edges,
        scores: tuple[Tensor, Tensor],
        *,
        x: Tensor,
        memory: dict[str, Tensor],
        thin: Callable[[Tensor], Tensor] = torch.nn.Identity(),  # noqa: B008  # holds nothing
    ) -> None:
        self.edges, self.scores, self.x, self.memory, self.thin = edges, scores, x, memory, thin

    @functools.cached_property
    def weights(self) -> Tensor:
        """(H, E + N), one for each of `edges.looped`."""
        (sources, targets), (source, target) = self.edges.looped, self.scores
        wide = torch.promote_types(source.dtype, torch.float32)
        logits = leaky_relu((source[:, sources] + target[:, targets]).to(wide), _SLOPE)
        rows = targets.expand_as(logits)
        peaks = logits.new_zeros(target.shape).scatter_reduce(1, rows, logits.detach(), "amax", include_self=False)
        shares = (logits - peaks[:, targets]).exp()
        sums = shares.new_zeros(target.shape).index_add(1, targets, shares)
        return self.thin(shares / sums[:, targets])

    def __call__(self, v: Tensor) -> Tensor:
        sources, targets = self.edges.looped
        messages = self.weights[..., None] * v[:, sources].to(self.weights.dtype)
        return messages.new_zeros(v.shape).index_add(1, targets, messages).to(v.dtype)

    def with_edges(self, keep: Tensor) -> "EdgeAttention":
        """The same site with the edges where `keep` (E,) is True."""
        return EdgeAttention(self.edges.keep(keep), self.scores, x=self.x, memory=self.memory, thin=self.thin)

    def drop_edges(self, p: float) -> "EdgeAttention":
        return self.with_edges(self.edges.survivors(p))

    def linked(self) -> Tensor:
        return self.edges.linked()

    def mean(self, v: Tensor) -> Tensor:
        return mean_over_nodes(v)

    def consensus(self, v: Tensor) -> Tensor:
        return mean_over_nodes(v)

    def deviation(self, v: Tensor) -> Tensor:
        return self(v - self.consensus(v))

    def dense(self) -> Tensor:
        """A, (H, N, N)."""
        expect_declared(self.needs)
        (sources, targets), nodes = self.edges.looped, self.edges.nodes
        flat = self.weights.new_zeros(len(self.weights), nodes * nodes)
        return flat.index_copy(1, targets * nodes + sources, self.weights).unflatten(1, (nodes, nodes))
