"""Graph convolutions without skip connections, the body that over-smooths.

    h <- relu(refine(mix(A, h W) + b))        A = S or P

Source: Kipf, Welling, "Semi-Supervised Classification with Graph Convolutional Networks", ICLR 2017.
"""

import torch
from torch import Tensor, nn

from jobs.api import Smoothing
from jobs.hosts.dropout import Dropout
from jobs.hosts.gnn import Block, affine
from jobs.operators.graph import Edges, Propagation


class GCN(Block):
    """Dropout, linear map, smoothing, bias, rectifier."""

    def fill(self) -> None:
        self.dropout = Dropout(self.shape.dropout)
        self.linear = affine(self.layer.width, self.layer.width, bias=False)
        self.bias = nn.Parameter(torch.zeros(self.layer.width))

    def thin(self, x: Tensor) -> Tensor:
        return self.dropout(x)

    def operands(self, x: Tensor, edges: Edges, memory: dict[str, Tensor]) -> tuple[Tensor, Smoothing]:
        return self.linear(x), Propagation(edges, x=x, memory=memory)

    def project(self, mixed: Tensor, first: Tensor) -> Tensor:
        return mixed + self.bias

    def activate(self, y: Tensor) -> Tensor:
        return torch.relu(y)
