"""Two layers of every kind of smoothing operator, small enough for formulas that loop over tokens.

Shapes: B samples, H heads, N tokens, D channels per head, C = H D; a graph has one sample and its values are (H, N, D).
"""

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from jobs.api import Layer, Smoothing
from jobs.check.loops import Sample, normalised, rows
from jobs.operators.attention import Attention
from jobs.operators.edge_attention import EdgeAttention
from jobs.operators.graph import Edges, Kind, Propagation

BATCH, HEADS, TOKENS, CHANNELS = 2, 2, 5, 3
ALL, LENGTH = tuple(range(TOKENS)), 3
_PAIRS = ((0, 1), (1, 2), (2, 0), (3, 4))
_SLOPE = 0.2


@dataclasses.dataclass(frozen=True, kw_only=True)
class Site:
    """What two layers see, and the same for a formula."""

    layers: tuple[Layer, Layer]
    values: Sequence[Tensor]  # (B, H, N, D), or (H, N, D) on a graph, for each layer
    x: Sequence[Tensor]  # (B, 1, N, C), or (1, N, C): each layer's input
    y: Sequence[Tensor]  # the same for a layer's output
    projection: Tensor  # (C, C)
    operator: Callable[[Tensor, dict[str, Tensor]], Smoothing]
    sample: Callable[[int, int], Sample]  # sample, layer
    inputs: Sequence[Tensor]  # what gradients are taken of

    def project(self, mixed: Tensor) -> Tensor:
        """Heads side by side, then a linear map."""
        return (mixed.transpose(-3, -2).flatten(-2) @ self.projection).unsqueeze(-3)


def attention(*, causal: bool, padded: bool = False, tokens: Sequence[int] = ALL) -> Site:
    """Softmax attention between `tokens`; if padded, the first sample ends after LENGTH of them."""
    draw, width = _draws(tokens), HEADS * CHANNELS
    q, k, *values = (draw(BATCH, HEADS, TOKENS, CHANNELS) for _ in range(4))
    x, y = ([draw(BATCH, 1, TOKENS, width) for _ in range(2)] for _ in range(2))
    visible = torch.ones(BATCH, len(tokens), dtype=torch.bool)
    if padded:
        visible[0, LENGTH:] = False
    order = torch.ones(len(tokens), len(tokens), dtype=torch.bool)
    order = order.tril() if causal else order
    seen = visible[:, None, :] & order

    def sample(b: int, layer: int) -> Sample:
        scores = [q_h @ k_h.T / math.sqrt(CHANNELS) for q_h, k_h in zip(q[b], k[b], strict=True)]
        mean = torch.stack([row.double() / row.sum() for row in seen[b]])
        return Sample(
            layer=layer,
            depth=2,
            a=torch.stack([rows(score, seen[b]) for score in scores]),
            j=mean,
            mean=mean,
            seen=seen[b],
            order=order,
            v=values[layer][b],
            v0=values[0][b],
            x=x[layer][b, 0],
            x0=x[0][b, 0],
            ys=[y[i][b, 0] for i in range(layer + 1)],
            q=q[b],
            k=k[b],
        )

    return Site(
        layers=(Layer(0, 2, width, HEADS, causal), Layer(1, 2, width, HEADS, causal)),
        values=values,
        x=x,
        y=y,
        projection=_projection(width),
        operator=lambda x, memory: Attention(
            q, k, x=x, memory=memory, causal=causal, visible=visible if padded else None
        ),
        sample=sample,
        inputs=(q, k, *values, *x, *y),
    )


def propagation(kind: Kind, *, tokens: Sequence[int] = ALL) -> Site:
    """A normalised adjacency of two components, its nodes in the order `tokens`."""
    pairs = _renamed(tokens)
    matrix = normalised(pairs, TOKENS, kind)
    edges = Edges(torch.tensor(pairs).T, TOKENS, kind, torch.float64)
    return _graph(
        heads=1,
        tokens=tokens,
        operator=lambda x, memory: Propagation(edges, x=x, memory=memory),
        a=lambda: matrix[None],
        j=_consensus(kind, pairs),
        kind=kind,
    )


def edge_attention(*, tokens: Sequence[int] = ALL) -> Site:
    """Attention over the edges of the same graph."""
    draw, pairs = _draws(tokens, seed=1), _renamed(tokens)
    source, target = draw(2, HEADS, TOKENS, 1).squeeze(-1).detach()
    source, target = source.requires_grad_(), target.requires_grad_()
    linked = normalised(pairs, TOKENS, "row") > 0

    def a() -> Tensor:
        scores = source[:, None, :] + target[:, :, None]
        return torch.stack([rows(torch.where(head > 0, head, _SLOPE * head), linked) for head in scores])

    edges = Edges(torch.tensor(pairs).T, TOKENS, "row", torch.float64)
    site = _graph(
        heads=HEADS,
        tokens=tokens,
        operator=lambda x, memory: EdgeAttention(edges, (source, target), x=x, memory=memory),
        a=a,
        j=_consensus("row", pairs),
        kind="",
    )
    return dataclasses.replace(site, inputs=(source, target, *site.inputs))


def _graph(
    *,
    heads: int,
    tokens: Sequence[int],
    operator: Callable[[Tensor, dict[str, Tensor]], Smoothing],
    a: Callable[[], Tensor],
    j: Tensor,
    kind: str,
) -> Site:
    draw, width, pairs = _draws(tokens), heads * CHANNELS, _renamed(tokens)
    values = [draw(heads, TOKENS, CHANNELS) for _ in range(2)]
    x, y = ([draw(1, TOKENS, width) for _ in range(2)] for _ in range(2))
    everything = torch.ones(TOKENS, TOKENS, dtype=torch.bool)

    def sample(b: int, layer: int) -> Sample:
        return Sample(
            layer=layer,
            depth=2,
            a=a(),
            j=j,
            mean=_consensus("row", pairs),
            seen=everything,
            order=everything,
            v=values[layer],
            v0=values[0],
            x=x[layer][0],
            x0=x[0][0],
            ys=[y[i][0] for i in range(layer + 1)],
            edges=pairs,
            kind=kind,
        )

    return Site(
        layers=(
            Layer(0, 2, width, heads, causal=False, graph=True),
            Layer(1, 2, width, heads, causal=False, graph=True),
        ),
        values=values,
        x=x,
        y=y,
        projection=_projection(width),
        operator=operator,
        sample=sample,
        inputs=(*values, *x, *y),
    )


def _consensus(kind: Kind, pairs: Sequence[tuple[int, int]]) -> Tensor:
    """u u^T with u ~ D^1/2 1 within each component, or the plain mean."""
    if kind == "row":
        return torch.full((TOKENS, TOKENS), 1 / TOKENS, dtype=torch.float64)
    projection = torch.zeros(TOKENS, TOKENS, dtype=torch.float64)
    for members in _components(pairs):
        u = torch.zeros(TOKENS, dtype=torch.float64)
        for node in members:
            u[node] = math.sqrt(1 + sum(target == node for _, target in pairs))
        projection += torch.outer(u, u) / u.dot(u)
    return projection


def _components(pairs: Sequence[tuple[int, int]]) -> list[set[int]]:
    """Nodes that hang together."""
    parts = [{node} for node in range(TOKENS)]
    for source, target in pairs:
        joined = [part for part in parts if part & {source, target}]
        parts = [part for part in parts if part not in joined] + [set.union(*joined)]
    return parts


def _renamed(tokens: Sequence[int]) -> list[tuple[int, int]]:
    """The directed edges when node `tokens[i]` is called i."""
    place = {node: i for i, node in enumerate(tokens)}
    return [(place[a], place[b]) for one, other in _PAIRS for a, b in ((one, other), (other, one))]


def _draws(tokens: Sequence[int], *, seed: int = 0) -> Callable[..., Tensor]:
    """Draws (..., TOKENS, channels) and takes `tokens` of it."""
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> Tensor:
        whole = torch.randn(shape, dtype=torch.float64, generator=generator)
        return whole[..., list(tokens), :].clone().requires_grad_()

    return draw


def _projection(width: int) -> Tensor:
    return torch.randn(width, width, dtype=torch.float64, generator=torch.Generator().manual_seed(2))


SITES: Mapping[str, Callable[[], Site]] = {
    "full attention": lambda: attention(causal=False),
    "causal attention": lambda: attention(causal=True),
    "padded attention": lambda: attention(causal=False, padded=True),
    "padded causal attention": lambda: attention(causal=True, padded=True),
    "symmetric graph": lambda: propagation("symmetric"),
    "row graph": lambda: propagation("row"),
    "attention over edges": edge_attention,
}
