"""A deep graph network: linear in, `depth` blocks of constant width, linear out.

Constant width is what depth studies use, so that every layer can be compared with every other. Linear maps start from
Glorot's uniform distribution and biases from zero: with row-normalised features, torch's own random biases would be
larger than what the features contribute.

Source: Glorot, Bengio, "Understanding the Difficulty of Training Deep Feedforward Neural Networks", AISTATS 2010.
Shapes: N nodes, F features, C channels, H heads, D = C / H; hidden states are (1, N, C).
"""

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn

from jobs.api import Layer, Plug, Smoothing, Variant
from jobs.hosts.dropout import Dropout
from jobs.hosts.stack import Stack, recall, retain
from jobs.operators.graph import Edges
from jobs.operators.sparse import Features

Surroundings = tuple[Edges, Tensor]
"""What every block needs beside its input: the edges, and the first block's input (1, N, C)."""


@dataclasses.dataclass(frozen=True)
class Shape:
    """Sizes and constants of a network.

    Args:
        features: F.
        width: C.
        classes: how many.
        depth: blocks.
        heads: H; only GAT has more than one.
        dropout: probability in [0, 1).
        alpha: share of the first block's input in every block (GCNII, APPNP).
        lam: how fast GCNII's linear maps tend to the identity.
    """

    features: int
    width: int
    classes: int
    depth: int
    heads: int = 1
    dropout: float = 0.0
    alpha: float = 0.1
    lam: float = 0.5


class Readout(nn.Module):
    """What the output map reads of the states, (1, N, C) each, the first block's input in front: here the last one."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()

    def forward(self, states: Sequence[Tensor]) -> Tensor:
        return states[-1]


class Block(nn.Module, ABC):
    """One layer of a body, its variant at `variant`: values in, smoothing, projection, activation."""

    linear_entrance: ClassVar[bool] = False
    """Whether the map into the first block is linear without a bias; otherwise affine and rectified."""
    readout: ClassVar[type[Readout]] = Readout
    """Makes of the states what the output map reads."""

    def __init__(self, layer: Layer, shape: Shape, plug: Plug) -> None:
        super().__init__()
        self.layer, self.shape = layer, shape
        self.fill()
        self.variant: Variant = plug(layer)

    def forward(self, x: Tensor, around: Surroundings, *kept: Tensor | None) -> tuple[Tensor | None, ...]:
        edges, first = around
        memory = recall(self.variant, kept)
        v, a = self.operands(self.variant.enter(self.thin(x)), edges, memory)
        y = self.activate(self.variant(a, v, lambda mixed: self.project(mixed, first)))
        y = self.variant.leave(y, x, memory)
        return y, self.variant.penalty(y), *retain(self.variant, memory)

    def fill(self) -> None:
        """Make this block's own parameters."""

    def thin(self, x: Tensor) -> Tensor:
        """Dropout of the block's input, where the body has one."""
        return x

    @abstractmethod
    def operands(self, x: Tensor, edges: Edges, memory: dict[str, Tensor]) -> tuple[Tensor, Smoothing]:
        """The values (H, N, D) and the operator that acts on them."""

    def project(self, mixed: Tensor, first: Tensor) -> Tensor:
        """(H, N, D) to (1, N, C); `first` is the first block's input."""
        return mixed

    def activate(self, y: Tensor) -> Tensor:
        return y


class NodeClassifier(nn.Module):
    """Features (N, F) and edges in; logits (N, classes) and the penalty out."""

    def __init__(self, shape: Shape, block: type[Block], plug: Plug) -> None:
        super().__init__()
        self.linear_entrance = block.linear_entrance
        self.enter = affine(shape.features, shape.width, bias=not block.linear_entrance)
        layers = [Layer(i, shape.depth, shape.width, shape.heads, causal=False, graph=True) for i in range(shape.depth)]
        self.convolutions = Stack(*(block(layer, shape, plug) for layer in layers))
        self.read = block.readout(shape)
        self.dropout = Dropout(shape.dropout)
        self.leave = affine(shape.width, shape.classes)

    def forward(self, features: Features, edges: Edges) -> tuple[Tensor, Tensor]:
        x = self._lift(features)
        x = x if self.linear_entrance else torch.relu(x)
        states, penalty = self.convolutions.outputs(x[None], (edges, x[None]), range(len(self.convolutions)))
        read = self.read([x[None], *states])
        return self.leave(self.dropout(read[0])), penalty

    def _lift(self, features: Features) -> Tensor:
        """The entrance map after dropout: (N, C)."""
        if isinstance(features, Tensor):
            return self.enter(self.dropout(features))
        thinned = features.with_weights(self.dropout(features.weights)) if self.training else features
        lifted = thinned @ self.enter.weight.t()
        return lifted if self.enter.bias is None else lifted + self.enter.bias


def affine(inputs: int, outputs: int, *, bias: bool = True) -> nn.Linear:
    """A linear map in Glorot's initialisation, its bias zero."""
    linear = nn.Linear(inputs, outputs, bias=bias)
    nn.init.xavier_uniform_(linear.weight)
    if bias:
        nn.init.zeros_(linear.bias)
    return linear
