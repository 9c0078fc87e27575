"""A deep graph convolutional network: linear in, `depth` convolutions of constant width, linear out.

    h <- relu(refine(mix(A, h W) + b))        A = S or P, no skip connection of its own

Source: Kipf, Welling, "Semi-Supervised Classification with Graph Convolutional Networks", ICLR 2017; the body of
constant width is the one depth studies use, so that every layer can be compared with every other.
Shapes: N nodes, C channels; values are (1, N, C), one head.
"""

import dataclasses

import torch
from torch import Tensor, nn

from jobs.api import Layer, Plug, Variant
from jobs.hosts.stack import Stack, recall, retain
from jobs.operators.graph import Edges, Propagation


class Convolution(nn.Module):
    """One graph convolution with its variant."""

    def __init__(self, layer: Layer, plug: Plug, dropout: float) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(layer.width, layer.width, bias=False)
        self.bias = nn.Parameter(torch.zeros(layer.width))
        nn.init.xavier_uniform_(self.linear.weight)
        self.variant: Variant = plug(layer)

    def forward(self, x: Tensor, edges: Edges, *kept: Tensor | None) -> tuple[Tensor | None, ...]:
        x = self.variant.enter(self.dropout(x))
        a = Propagation(edges, x=x, memory=recall(self.variant, kept))
        y = self.variant(a, self.linear(x), self._project)
        y = torch.relu(y)
        return y, self.variant.penalty(y), *retain(self.variant, a.memory)

    def _project(self, mixed: Tensor) -> Tensor:
        return mixed + self.bias


@dataclasses.dataclass(frozen=True)
class Shape:
    """Sizes of a network: input features, hidden width C, classes, convolutions."""

    features: int
    width: int
    classes: int
    depth: int


class GCN(nn.Module):
    """Node classifier: features (N, F) and edges in; logits (N, classes) and the penalty out."""

    def __init__(self, shape: Shape, plug: Plug, *, dropout: float) -> None:
        super().__init__()
        self.enter = nn.Linear(shape.features, shape.width)
        layers = [Layer(i, shape.depth, shape.width, heads=1, causal=False) for i in range(shape.depth)]
        self.convolutions = Stack(*(Convolution(layer, plug, dropout) for layer in layers))
        self.dropout = nn.Dropout(dropout)
        self.leave = nn.Linear(shape.width, shape.classes)

    def forward(self, features: Tensor, edges: Edges) -> tuple[Tensor, Tensor]:
        x = torch.relu(self.enter(self.dropout(features)))
        x, penalty = self.convolutions(x[None], edges)
        return self.leave(self.dropout(x[0])), penalty
