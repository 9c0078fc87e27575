"""Normalised adjacency as a smoothing operator: O(E C) sparse products, never an N x N matrix.

    symmetric  S = D^-1/2 (A + I) D^-1/2     J v = u u^T v with u ~ D^1/2 1, one u per connected component
    row        P = D^-1 (A + I)              J v = mean of v over nodes

S u = u and P 1 = 1, so (A - J) v = A (v - J v) in both cases: the exact deflation of the consensus direction.
"""

import dataclasses
import functools
from typing import Literal

import numpy
import torch
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from torch import Tensor

from jobs.errors import expect_declared
from jobs.operators.sparse import SparseMatrix, compress

Kind = Literal["symmetric", "row"]


@dataclasses.dataclass(frozen=True)
class Edges:
    """A graph of N nodes with self-loops added, normalised once and shared by all layers.

    Args:
        index: (2, E) directed edges without self-loops, sources above targets.
        nodes: N.
        kind: which normalisation.
        dtype: of the weights.
    """

    index: Tensor
    nodes: int
    kind: Kind = "symmetric"
    dtype: torch.dtype = torch.float32

    @functools.cached_property
    def degree(self) -> Tensor:
        """(N,) in-degree with the self-loop counted."""
        return torch.bincount(self.index[1], minlength=self.nodes).to(self.dtype) + 1

    @functools.cached_property
    def looped(self) -> tuple[Tensor, Tensor]:
        """Sources and targets, (E + N,) each: every edge, then every node's loop."""
        loops = torch.arange(self.nodes, device=self.index.device)
        return torch.cat([self.index[0], loops]), torch.cat([self.index[1], loops])

    @functools.cached_property
    def matrix(self) -> SparseMatrix:
        """The operator, (N, N): targets down, sources across."""
        sources, targets = self.looped
        if self.kind == "symmetric":
            weights = (self.degree[sources] * self.degree[targets]).rsqrt()
        else:
            weights = 1 / self.degree[targets]
        return compress(targets, sources, weights, (self.nodes, self.nodes))

    @functools.cached_property
    def components(self) -> Tensor:
        """(N,) number of each node's connected component, whichever way its edges point."""
        index = self.index.cpu().numpy()
        matrix = coo_matrix((numpy.ones(index.shape[1]), (index[0], index[1])), (self.nodes, self.nodes))
        return torch.from_numpy(connected_components(matrix, directed=False)[1]).long().to(self.index.device)

    @functools.cached_property
    def parts(self) -> int:
        """How many components there are."""
        return int(self.components.max()) + 1

    @functools.cached_property
    def consensus_direction(self) -> Tensor:
        """(N, 1), u: of length 1 within each component."""
        total = self.degree.new_zeros(self.parts)
        total.index_add_(0, self.components, self.degree)
        return (self.degree / total[self.components]).sqrt()[:, None]

    def linked(self) -> Tensor:
        """(N, N) bool: whether there is an edge from the node across to the one down; every node has a loop."""
        sources, targets = self.looped
        found = torch.zeros(self.nodes, self.nodes, dtype=torch.bool, device=self.index.device)
        found[targets, sources] = True
        return found

    def survivors(self, p: float) -> Tensor:
        """(E,) bool: False for each edge that is dropped, with probability `p` (global random stream)."""
        return torch.rand(self.index.shape[1], device=self.index.device) >= p

    def settled(self) -> "Edges":
        """These edges with everything that follows from them computed, so that no forward pass (or compiler) has to."""
        _ = self.matrix.ready, self.consensus_direction
        return self

    def keep(self, mask: Tensor) -> "Edges":
        """The graph with the edges where `mask` (E,) is True, normalised anew."""
        return dataclasses.replace(self, index=self.index[:, mask])

    def to(self, device: torch.device) -> "Edges":
        return dataclasses.replace(self, index=self.index.to(device))


def mean_over_nodes(v: Tensor) -> Tensor:
    """(..., N, C) to (..., 1, C), summed at least in float32."""
    wide = v.to(torch.promote_types(v.dtype, torch.float32))
    return wide.mean(-2, keepdim=True).to(v.dtype)


class Propagation:
    """One graph convolution's operator on values (1, N, C); see `jobs.api.Smoothing`."""

    needs: frozenset[str] = frozenset({"dense"})

    def __init__(self, edges: Edges, *, x: Tensor, memory: dict[str, Tensor]) -> None:
        self.edges, self.x, self.memory = edges, x, memory

    def __call__(self, v: Tensor) -> Tensor:
        return (self.edges.matrix @ v[0])[None]

    def with_edges(self, keep: Tensor) -> "Propagation":
        """The same site with the edges where `keep` (E,) is True."""
        return Propagation(self.edges.keep(keep), x=self.x, memory=self.memory)

    def drop_edges(self, p: float) -> "Propagation":
        return self.with_edges(self.edges.survivors(p))

    def linked(self) -> Tensor:
        return self.edges.linked()

    def mean(self, v: Tensor) -> Tensor:
        return mean_over_nodes(v)

    def consensus(self, v: Tensor) -> Tensor:
        if self.edges.kind == "row":
            return self.mean(v)
        wide = v.to(torch.promote_types(v.dtype, torch.float32))
        u, part = self.edges.consensus_direction.to(wide.dtype), self.edges.components
        sums = wide.new_zeros(1, self.edges.parts, v.shape[-1]).index_add(1, part, u * wide)
        return (u * sums[:, part]).to(v.dtype)

    def deviation(self, v: Tensor) -> Tensor:
        return self(v - self.consensus(v))

    def dense(self) -> Tensor:
        """A, (1, N, N)."""
        expect_declared(self.needs)
        return self.edges.matrix.dense()[None]
