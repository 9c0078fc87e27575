"""Twicing attention: smooth once more what the first smoothing left out, and add it.

    O_l = (2 A_l - A_l^2) V_l = U_l + A_l (V_l - U_l),        U_l = A_l V_l

Source: Abdullaev, Nguyen, "Transformer Meets Twicing: Harnessing Unattended Residual Information", ICLR 2025; in every
layer of vision models, in the last two of sixteen layers of a language model.
"""

from torch import Tensor

from jobs.api import Layer, Smoothing, Variant


class Twicing(Variant):
    """Smoothing and the smoothed residual, in the `last` so many layers; 0 stands for all."""

    def __init__(self, layer: Layer, *, last: int = 0) -> None:
        super().__init__(layer)
        if last < 0:
            raise ValueError(f"twicing: last must be >= 0, got {last}.")
        self.twice = last == 0 or layer.index >= layer.depth - last

    def mix(self, a: Smoothing, v: Tensor) -> Tensor:
        """U + A (V - U)."""
        u = a(v)
        return u + a(v - u) if self.twice else u
