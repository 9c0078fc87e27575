"""Centered self-attention: take the consensus out of what the operator spreads.

    O_l = (A_l - gamma J) V_l = (1 - gamma) J V_l + (A_l - J) V_l

Source: Ali, Galanti, Wolf, "Centered Self-Attention Layers", arXiv 2306.01610, 2023; gamma = 1 is
the paper's subtraction of the uniform average. J is the mean, or u u^T on a symmetric graph.
"""

from torch import Tensor

from jobs.api import Layer, Smoothing, Variant


class Centered(Variant):
    """Smoothing less the share `gamma` (no unit) of the consensus."""

    neutral = {"gamma": 0.0}

    def __init__(self, layer: Layer, *, gamma: float = 1.0) -> None:
        super().__init__(layer)
        self.gamma = gamma

    def mix(self, a: Smoothing, v: Tensor) -> Tensor:
        """(1 - gamma) J V + (A - J) V; the second term is one fused call."""
        return (1 - self.gamma) * a.consensus(v) + a.deviation(v)
