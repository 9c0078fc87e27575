"""Value residual: smooth a blend of the first layer's values and this layer's.

    O_l = A_l (l1 V_0 + l2 V_l)

Source: Zhou et al., "Value Residual Learning for Alleviating Attention Concentration in
Transformers", arXiv 2410.17897, 2024; the constant form uses l1 = l2 = 0.5.
"""

from torch import Tensor

from jobs.api import Layer, Smoothing, Variant


class ValueResidual(Variant):
    """Smoothing of `l1` V_0 + (1 - `l1`) V (no unit, in [0, 1]); the first layer stays plain since l1 + l2 = 1."""

    keeps = ("v0",)
    neutral = {"l1": 0.0}

    def __init__(self, layer: Layer, *, l1: float = 0.5) -> None:
        super().__init__(layer)
        if not 0 <= l1 <= 1:
            raise ValueError(f"value_residual: l1 must be in [0, 1], got {l1}.")
        self.l1 = l1

    def mix(self, a: Smoothing, v: Tensor) -> Tensor:
        """A (l1 V_0 + l2 V) with l2 = 1 - l1."""
        return a(self.l1 * a.memory.setdefault("v0", v) + (1 - self.l1) * v)
