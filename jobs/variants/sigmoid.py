"""Sigmoid attention: each token weighs every other one on its own, without a softmax that makes weights compete.

    O_l = sigmoid(Q K^T / sqrt(D) - log n) V        n = how many tokens the query sees

Source: Ramapuram et al., "Theory, Analysis, and Best Practices for Sigmoid Self-Attention", ICLR 2025; the bias -log n
is theirs. No fused form: chunks of queries, recomputed in the backward pass.
"""

from jobs.api import Layer, Smoothing, Variant
from jobs.operators.attention import Attention
from jobs.operators.sigmoid_attention import SigmoidAttention


class Sigmoid(Variant):
    """Another operator from the same queries and keys."""

    @classmethod
    def skip(cls, layer: Layer) -> str | None:
        return "It replaces the softmax of queries and keys; a graph's layers have none." if layer.graph else None

    def operator(self, a: Smoothing) -> Smoothing:
        """The sigmoid's weights instead of the softmax's."""
        assert isinstance(a, Attention), "every transformer hands its variants an Attention"
        return SigmoidAttention.of(a)
