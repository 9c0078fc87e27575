"""Sparse propagation against the dense matrix, on a graph of two components and an isolated node."""

import pytest
import torch
from torch import Tensor

from jobs.operators.graph import Edges, Kind, Propagation

NODES = 7
PAIRS = [(0, 1), (1, 2), (2, 0), (2, 3), (4, 5)]
KINDS: list[Kind] = ["symmetric", "row"]


def edges(kind: Kind, pairs: list[tuple[int, int]] = PAIRS) -> Edges:
    both = pairs + [(b, a) for a, b in pairs]
    return Edges(torch.tensor(both).T, NODES, kind, torch.float64)


def dense(kind: Kind, pairs: list[tuple[int, int]] = PAIRS) -> Tensor:
    """The normalised adjacency by its definition."""
    adjacency = torch.eye(NODES, dtype=torch.float64)
    for a, b in pairs:
        adjacency[a, b] = adjacency[b, a] = 1
    degree = adjacency.sum(1)
    if kind == "row":
        return adjacency / degree[:, None]
    return adjacency / (degree[:, None] * degree[None, :]).sqrt()


def values() -> Tensor:
    return torch.randn(1, NODES, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()


def propagation(kind: Kind, v: Tensor) -> Propagation:
    return Propagation(edges(kind), x=v, memory={})


@pytest.mark.parametrize("kind", KINDS)
def test_the_operator_is_the_normalised_adjacency(kind: Kind) -> None:
    v = values()
    a = propagation(kind, v)
    torch.testing.assert_close(a.dense()[0], dense(kind))
    torch.testing.assert_close(a(v)[0], dense(kind) @ v[0])


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_are_exact(kind: Kind) -> None:
    v = values()
    a = propagation(kind, v)
    assert torch.autograd.gradcheck(a, (v,))
    assert torch.autograd.gradcheck(a.deviation, (v,))


@pytest.mark.parametrize("kind", KINDS)
def test_deviation_is_the_operator_less_the_consensus(kind: Kind) -> None:
    v = values()
    a = propagation(kind, v)
    torch.testing.assert_close(a.deviation(v), a(v) - a.consensus(v))


def test_symmetric_consensus_is_what_repeated_propagation_tends_to() -> None:
    v = values()
    a = propagation("symmetric", v)
    limit = torch.linalg.matrix_power(dense("symmetric"), 500) @ v[0]
    torch.testing.assert_close(a.consensus(v)[0], limit)


def test_row_consensus_is_the_mean_over_all_nodes() -> None:
    v = values()
    torch.testing.assert_close(propagation("row", v).consensus(v)[0, 0], v[0].mean(0))


def test_dropping_edges_normalises_anew() -> None:
    v = values()
    kept = torch.tensor([True, True, False, True, True] * 2)
    a = propagation("symmetric", v).with_edges(kept)
    rest = [pair for pair, keep in zip(PAIRS, kept, strict=False) if keep]
    torch.testing.assert_close(a.dense()[0], dense("symmetric", rest))
    limit = torch.linalg.matrix_power(dense("symmetric", rest), 500) @ v[0]
    torch.testing.assert_close(a.consensus(v)[0], limit)


def test_half_precision_is_summed_in_single() -> None:
    v = values().detach()
    a = propagation("symmetric", v)
    found = a(v.bfloat16())
    assert found.dtype == torch.bfloat16
    torch.testing.assert_close(found.double(), a(v), rtol=0.02, atol=0.02)
