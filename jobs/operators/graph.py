"""Normalised adjacency as a smoothing operator: O(E C) sparse products, never an N x N matrix.

    symmetric  S = D^-1/2 (A + I) D^-1/2     J v = u u^T v with u ~ D^1/2 1, one u per connected component
    row        P = D^-1 (A + I)              J v = mean of v over nodes

S u = u and P 1 = 1, so (A - J) v = A (v - J v) in both cases: the exact deflation of the consensus direction.
"""

import dataclasses
import functools
import warnings
from typing import Literal

import numpy
import torch
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from torch import Tensor

from jobs.errors import expect_declared

Kind = Literal["symmetric", "row"]
Sparse = tuple[Tensor, Tensor, Tensor]
"""Compressed sparse rows: row starts (N + 1,), columns (E,), weights (E,)."""

with warnings.catch_warnings():  # torch announces once per process that CSR is in beta; hear it here
    warnings.simplefilter("ignore")
    torch.sparse_csr_tensor(torch.tensor([0, 0]), torch.tensor([], dtype=torch.long), torch.tensor([]), (1, 1))


@torch.library.custom_op("unsmooth::propagate", mutates_args=())
def _propagate(v: Tensor, a0: Tensor, a1: Tensor, a2: Tensor, t0: Tensor, t1: Tensor, t2: Tensor) -> Tensor:
    """A v for v (N, C) and A = (a0, a1, a2) in sparse rows; (t0, t1, t2) is A^T, for the gradient.

    Half precision is summed in float32.
    """
    nodes = v.shape[0]
    wide = torch.promote_types(v.dtype, torch.float32)
    matrix = torch.sparse_csr_tensor(a0, a1, a2.to(wide), (nodes, nodes), check_invariants=False)
    return torch.sparse.mm(matrix, v.to(wide)).to(v.dtype)


@_propagate.register_fake
def _(v: Tensor, a0: Tensor, a1: Tensor, a2: Tensor, t0: Tensor, t1: Tensor, t2: Tensor) -> Tensor:
    return torch.empty_like(v, memory_format=torch.contiguous_format)


def _remember(ctx, inputs, output):  # type: ignore[no-untyped-def]  # torch's signature
    ctx.save_for_backward(*inputs[1:])


def _transpose(ctx, gradient):  # type: ignore[no-untyped-def]  # torch's signature
    a0, a1, a2, t0, t1, t2 = ctx.saved_tensors  # read once: checkpointing hands them out once
    return _propagate(gradient.contiguous(), t0, t1, t2, a0, a1, a2), None, None, None, None, None, None


_propagate.register_autograd(_transpose, setup_context=_remember)


def _compress(rows: Tensor, columns: Tensor, weights: Tensor, nodes: int) -> Sparse:
    order = torch.argsort(rows * nodes + columns, stable=True)
    starts = torch.zeros(nodes + 1, dtype=torch.long, device=rows.device)
    starts[1:] = torch.bincount(rows, minlength=nodes).cumsum(0)
    return starts, columns[order], weights[order]


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
    def forward_backward(self) -> tuple[Sparse, Sparse]:
        """The operator and its transpose."""
        loops = torch.arange(self.nodes, device=self.index.device)
        sources, targets = torch.cat([self.index[0], loops]), torch.cat([self.index[1], loops])
        if self.kind == "symmetric":
            weights = (self.degree[sources] * self.degree[targets]).rsqrt()
        else:
            weights = 1 / self.degree[targets]
        return _compress(targets, sources, weights, self.nodes), _compress(sources, targets, weights, self.nodes)

    @functools.cached_property
    def components(self) -> Tensor:
        """(N,) number of each node's connected component."""
        index = self.index.cpu().numpy()
        matrix = coo_matrix((numpy.ones(index.shape[1]), (index[0], index[1])), (self.nodes, self.nodes))
        return torch.from_numpy(connected_components(matrix, directed=False)[1]).long().to(self.index.device)

    @functools.cached_property
    def consensus_direction(self) -> Tensor:
        """(N, 1), u: of length 1 within each component."""
        total = self.degree.new_zeros(int(self.components.max()) + 1)
        total.index_add_(0, self.components, self.degree)
        return (self.degree / total[self.components]).sqrt()[:, None]

    def keep(self, mask: Tensor) -> "Edges":
        """The graph with the edges where `mask` (E,) is True, normalised anew."""
        return dataclasses.replace(self, index=self.index[:, mask])

    def to(self, device: torch.device) -> "Edges":
        return dataclasses.replace(self, index=self.index.to(device))


class Propagation:
    """One graph convolution's operator on values (1, N, C); see `jobs.api.Smoothing`."""

    needs: frozenset[str] = frozenset({"dense"})

    def __init__(self, edges: Edges, *, x: Tensor, memory: dict[str, Tensor]) -> None:
        self.edges, self.x, self.memory = edges, x, memory

    def __call__(self, v: Tensor) -> Tensor:
        matrix, back = self.edges.forward_backward
        product: Tensor = _propagate(v[0].contiguous(), *matrix, *back)
        return product[None]

    def with_edges(self, keep: Tensor) -> "Propagation":
        """The same site with the edges where `keep` (E,) is True."""
        return Propagation(self.edges.keep(keep), x=self.x, memory=self.memory)

    def mean(self, v: Tensor) -> Tensor:
        wide = v.to(torch.promote_types(v.dtype, torch.float32))
        return wide.mean(-2, keepdim=True).to(v.dtype)

    def consensus(self, v: Tensor) -> Tensor:
        if self.edges.kind == "row":
            return self.mean(v)
        wide = v.to(torch.promote_types(v.dtype, torch.float32))
        u, part = self.edges.consensus_direction.to(wide.dtype), self.edges.components
        sums = wide.new_zeros(1, int(part.max()) + 1, v.shape[-1]).index_add(1, part, u * wide)
        return (u * sums[:, part]).to(v.dtype)

    def deviation(self, v: Tensor) -> Tensor:
        return self(v - self.consensus(v))

    def dense(self) -> Tensor:
        """A, (1, N, N)."""
        expect_declared(self.needs)
        starts, columns, weights = self.edges.forward_backward[0]
        shape = (self.edges.nodes, self.edges.nodes)
        return torch.sparse_csr_tensor(starts, columns, weights, shape, check_invariants=False).to_dense()[None]
