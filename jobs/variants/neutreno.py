"""NeuTRENO: pull every layer's values back towards the first layer's.

    O_l = A_l V_l + lam (V_0 - V_l)

Source: Nguyen, Nguyen, Baraniuk, "Mitigating Over-smoothing in Transformers via Regularized
Nonlocal Functionals", NeurIPS 2023; the authors use lam = 0.6 (vision), 0.4 (language).
"""

from torch import Tensor

from jobs.api import Layer, Smoothing, Variant


class NeuTRENO(Variant):
    """Smoothing plus a fidelity term of strength `lam` (no unit, >= 0)."""

    keeps = ("v0",)
    neutral = {"lam": 0.0}

    def __init__(self, layer: Layer, *, lam: float = 0.6) -> None:
        super().__init__(layer)
        if lam < 0:
            raise ValueError(f"neutreno: lam must be >= 0, got {lam}.")
        self.lam = lam

    def mix(self, a: Smoothing, v: Tensor) -> Tensor:
        """A V + lam (V_0 - V). The first layer keeps V_0, so its own pull is zero."""
        return a(v) + self.lam * (a.memory.setdefault("v0", v) - v)
