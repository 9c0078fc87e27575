"""APPNP: personalised PageRank, propagation that returns to its start with probability alpha.

    h <- (1 - alpha) mix(A, h) + alpha h_0,        h_0 = relu(X W_in + b_in),        logits = h W_out + b_out

Source: Gasteiger, Bojchevski, Günnemann, "Predict then Propagate: Graph Neural Networks meet Personalized PageRank",
ICLR 2019; alpha = 0.1, 10 steps. There W_out comes before the propagation: the two commute, only b_out is not spread.
"""

import torch
from torch import Tensor

from jobs.api import Smoothing
from jobs.hosts.gnn import Block
from jobs.operators.graph import Edges, Propagation


class APPNP(Block):
    """Smoothing and teleport."""

    def operands(self, x: Tensor, edges: Edges, memory: dict[str, Tensor]) -> tuple[Tensor, Smoothing]:
        return x, Propagation(edges, x=x, memory=memory)

    def project(self, mixed: Tensor, first: Tensor) -> Tensor:
        return torch.lerp(mixed, first.to(mixed.dtype), self.shape.alpha)
