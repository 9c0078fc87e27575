"""DAGNN: deep propagation whose hops every node weighs for itself.

    h_l = mix(A, h_(l-1)),        h_0 = relu(X W_in + b_in),        logits = (sum_l sigmoid(h_l s) h_l) W_out + b_out

Source: Liu, Gao, Ji, "Towards Deeper Graph Neural Networks", KDD 2020; 5 to 20 hops. There W_out comes before the
propagation, so that s weighs class scores; here it weighs the channels that variants and metrics see.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from jobs.hosts.gnn import Readout, Shape, affine
from jobs.hosts.sgc import SGC


class Gated(Readout):
    """The states of all hops (L + 1, each (1, N, C)), each weighed by a score of its own, per node."""

    def __init__(self, shape: Shape) -> None:
        super().__init__(shape)
        self.score = affine(shape.width, 1)

    def forward(self, states: Sequence[Tensor]) -> Tensor:
        total = torch.zeros_like(states[0])
        for state in states:
            total = total + torch.sigmoid(self.score(state)) * state
        return total


class DAGNN(SGC):
    """Smoothing alone, read at every hop."""

    linear_entrance = False
    readout = Gated
