"""GPRGNN: generalised PageRank, a learned weight for the state after each propagation.

    h_l = mix(A, h_(l-1)),        h_0 = relu(X W_in + b_in),        logits = (sum_l gamma_l h_l) W_out + b_out

gamma_l = alpha (1 - alpha)^l for l < L and (1 - alpha)^L at the end, then learned.

Source: Chien, Peng, Li, Milenkovic, "Adaptive Universal Generalized PageRank Graph Neural Network", ICLR 2021; alpha
= 0.1, 10 steps. There W_out comes before the propagation: the two commute, only b_out is not spread.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from jobs.hosts.gnn import Readout, Shape
from jobs.hosts.sgc import SGC


class Weighted(Readout):
    """The states of all hops (L + 1, each (1, N, C)) weighted by gamma."""

    def __init__(self, shape: Shape) -> None:
        super().__init__(shape)
        decay = (1 - shape.alpha) ** torch.arange(shape.depth + 1.0)
        decay[:-1] *= shape.alpha
        self.gamma = nn.Parameter(decay)

    def forward(self, states: Sequence[Tensor]) -> Tensor:
        total = self.gamma[0] * states[0]
        for gamma, state in zip(self.gamma[1:], states[1:], strict=True):
            total = total + gamma * state
        return total


class GPRGNN(SGC):
    """Smoothing alone, read at every hop."""

    linear_entrance = False
    readout = Weighted
