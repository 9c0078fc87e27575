"""GCNII: graph convolutions with an initial residual and linear maps that tend to the identity.

    h <- relu(((1 - alpha) mix(A, h) + alpha h_0) ((1 - b_l) I + b_l W))        b_l = log(lam / l + 1), l = 1, 2, ...

Source: Chen, Wei, Huang, Ding, Li, "Simple and Deep Graph Convolutional Networks", ICML 2020; alpha = 0.1, lam = 0.5.
"""

import math

import torch
from torch import Tensor

from jobs.api import Smoothing
from jobs.hosts.dropout import Dropout
from jobs.hosts.gnn import Block, affine
from jobs.operators.graph import Edges, Propagation


class GCNII(Block):
    """Dropout, smoothing, initial residual, identity mapping, rectifier."""

    def fill(self) -> None:
        self.dropout = Dropout(self.shape.dropout)
        self.linear = affine(self.layer.width, self.layer.width, bias=False)
        self.beta = math.log(self.shape.lam / (self.layer.index + 1) + 1)

    def thin(self, x: Tensor) -> Tensor:
        return self.dropout(x)

    def operands(self, x: Tensor, edges: Edges, memory: dict[str, Tensor]) -> tuple[Tensor, Smoothing]:
        return x, Propagation(edges, x=x, memory=memory)

    def project(self, mixed: Tensor, first: Tensor) -> Tensor:
        support = torch.lerp(mixed, first.to(mixed.dtype), self.shape.alpha)
        return torch.lerp(support, self.linear(support).to(support.dtype), self.beta)

    def activate(self, y: Tensor) -> Tensor:
        return torch.relu(y)
