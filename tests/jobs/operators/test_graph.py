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


def spectrum(matrix: Tensor) -> Tensor:
    """Magnitudes of the eigenvalues, falling."""
    return torch.linalg.eigvals(matrix).abs().sort(descending=True).values


def deflated(kind: Kind, kept: Tensor | None = None) -> Tensor:
    """A - J, column by column through `deviation`."""
    unit = torch.eye(NODES, dtype=torch.float64)
    a = propagation(kind, unit[None])
    return (a if kept is None else a.with_edges(kept)).deviation(unit[None])[0]


def test_symmetric_deflation_removes_one_unit_eigenvalue_per_component_and_nothing_else() -> None:
    """Three components, one of them an isolated node: three eigenvalues 1 become 0, the others stay."""
    whole = spectrum(dense("symmetric"))
    assert whole[2] > 1 - 1e-9 > whole[3] + 1e-3
    expected = torch.cat([whole[3:], torch.zeros(3, dtype=torch.float64)])
    torch.testing.assert_close(spectrum(deflated("symmetric")), expected, rtol=0, atol=1e-9)


def test_symmetric_deflation_is_a_projection_that_commutes_with_the_operator() -> None:
    j = dense("symmetric") - deflated("symmetric")
    torch.testing.assert_close(j @ j, j)
    torch.testing.assert_close(j @ dense("symmetric"), j)
    torch.testing.assert_close(dense("symmetric") @ j, j)


def test_dropping_pairs_deflates_the_components_that_are_left() -> None:
    """Without 2-3 node 3 stands alone: four components."""
    kept = torch.tensor([True, True, True, False, True] * 2)
    rest = spectrum(dense("symmetric", [pair for pair in PAIRS if pair != (2, 3)]))
    assert rest[3] > 1 - 1e-9 > rest[4] + 1e-3
    expected = torch.cat([rest[4:], torch.zeros(4, dtype=torch.float64)])
    torch.testing.assert_close(spectrum(deflated("symmetric", kept)), expected, rtol=0, atol=1e-9)


def test_after_dropping_one_direction_u_is_still_left_as_it_is() -> None:
    """S is no longer symmetric; S u = u holds with the degrees of what is left."""
    kept = torch.tensor([True, True, False, True, True, True, True, True, True, False])
    edges_left = edges("symmetric").keep(kept)
    u = edges_left.consensus_direction
    torch.testing.assert_close(edges_left.matrix @ u, u)


def test_row_deflation_removes_one_unit_eigenvalue_of_the_whole_graph() -> None:
    """J is the mean over all nodes: with three components two eigenvalues 1 stay, as published code has it."""
    whole = spectrum(dense("row"))
    expected = torch.cat([whole[1:], torch.zeros(1, dtype=torch.float64)])
    torch.testing.assert_close(spectrum(deflated("row")), expected, rtol=0, atol=1e-7)
    torch.testing.assert_close(deflated("row").sum(1), torch.zeros(NODES, dtype=torch.float64))
