"""Residual connections: every layer hands on a share of its input beside its output.

    h_(l+1) = (1 - alpha) f(h_l) + alpha h_l        f: the layer, activation included

Source: Kipf, Welling, "Semi-Supervised Classification with Graph Convolutional Networks", ICLR 2017, appendix B; with a
share alpha: Chen et al., "Bag of Tricks for Training Deeper Graph Neural Networks", TPAMI 2022, alpha = 0.2.
"""

from torch import Tensor

from jobs.api import Layer, Variant


class Residual(Variant):
    """The layer and a share `alpha` (in [0, 1]) of its input."""

    neutral = {"alpha": 0.0}

    def __init__(self, layer: Layer, *, alpha: float = 0.2) -> None:
        super().__init__(layer)
        if not 0 <= alpha <= 1:
            raise ValueError(f"residual: alpha must be in [0, 1], got {alpha}.")
        self.alpha = alpha

    @classmethod
    def skip(cls, layer: Layer) -> str | None:
        return None if layer.graph else "Every block of a transformer has residual connections already."

    def leave(self, y: Tensor, x: Tensor, memory: dict[str, Tensor]) -> Tensor:
        """(1 - alpha) y + alpha x."""
        return (1 - self.alpha) * y + self.alpha * x
