"""Attention over edges against the dense masked softmax, on a graph of two components and an isolated node."""

import torch
from torch import Tensor
from torch.nn.functional import dropout

from jobs.operators.edge_attention import EdgeAttention
from jobs.operators.graph import Edges

NODES, HEADS = 6, 2
PAIRS = [(0, 1), (1, 2), (2, 0), (3, 4)]


def draw(*shape: int, place: int = 0) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(place)).requires_grad_()


def directed() -> list[tuple[int, int]]:
    return PAIRS + [(b, a) for a, b in PAIRS]


def dense(source: Tensor, target: Tensor, kept: list[tuple[int, int]]) -> Tensor:
    """(H, N, N) by definition; row i attends to i and to every j with an edge j -> i."""
    allowed = torch.eye(NODES, dtype=torch.bool)
    for j, i in kept:
        allowed[i, j] = True
    logits = torch.nn.functional.leaky_relu(source[:, None, :] + target[:, :, None], 0.2)
    return logits.masked_fill(~allowed, -torch.inf).softmax(-1)


def operator(source: Tensor, target: Tensor) -> EdgeAttention:
    edges = Edges(torch.tensor(directed()).T, NODES, dtype=torch.float64)
    return EdgeAttention(edges, (source, target), x=draw(1, NODES, 6), memory={})


def test_the_operator_is_the_masked_softmax_in_value_and_gradient() -> None:
    source, target, v = draw(HEADS, NODES), draw(HEADS, NODES, place=1), draw(HEADS, NODES, 3, place=2)
    a = operator(source, target)
    expected = dense(source, target, directed())
    torch.testing.assert_close(a.dense(), expected)
    weights = torch.linspace(-1, 2, v.numel(), dtype=torch.float64).view_as(v)
    pairs = [torch.autograd.grad((y * weights).sum(), (source, target, v)) for y in (a(v), expected @ v)]
    torch.testing.assert_close(a(v), expected @ v)
    torch.testing.assert_close(*pairs)


def test_large_scores_do_not_overflow() -> None:
    source = 1000 * draw(HEADS, NODES)
    found = operator(source, source).dense()
    torch.testing.assert_close(found.sum(-1), torch.ones(HEADS, NODES, dtype=torch.float64))


def test_deviation_is_the_operator_less_the_mean() -> None:
    a, v = operator(draw(HEADS, NODES), draw(HEADS, NODES, place=1)), draw(HEADS, NODES, 3, place=2)
    torch.testing.assert_close(a.deviation(v), a(v) - v.mean(1, keepdim=True))


def test_dropping_edges_normalises_anew() -> None:
    source, target = draw(HEADS, NODES), draw(HEADS, NODES, place=1)
    kept = torch.tensor([True, False, True, True] * 2)
    rest = [pair for pair, keep in zip(directed(), kept, strict=True) if keep]
    found = operator(source, target).with_edges(kept).dense()
    torch.testing.assert_close(found, dense(source, target, rest))


def test_a_site_drops_the_same_weights_in_every_call() -> None:
    source, v = draw(HEADS, NODES), draw(HEADS, NODES, 3, place=2)
    edges = Edges(torch.tensor(directed()).T, NODES, dtype=torch.float64)
    a = EdgeAttention(edges, (source, source), x=v, memory={}, thin=lambda w: dropout(w, 0.5))
    torch.testing.assert_close(a(v), a(v))
    torch.testing.assert_close(a(v), a.dense() @ v)
