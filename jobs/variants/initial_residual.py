"""Initial residual: every layer hands on a share of the first layer's input beside its output.

    h_(l+1) = (1 - alpha) f(h_l) + alpha h_0        f: the layer, activation included

Source: Gasteiger, Bojchevski, Günnemann, "Predict then Propagate", ICLR 2019, and Chen, Wei, Huang, Ding, Li, "Simple
and Deep Graph Convolutional Networks", ICML 2020, there before the linear map; after the layer: Chen et al., "Bag of
Tricks for Training Deeper Graph Neural Networks", TPAMI 2022. alpha = 0.1.
"""

from torch import Tensor

from jobs.api import Layer, Variant


class InitialResidual(Variant):
    """The layer and a share `alpha` (in [0, 1]) of what entered the stack."""

    keeps = ("h0",)
    neutral = {"alpha": 0.0}

    def __init__(self, layer: Layer, *, alpha: float = 0.1) -> None:
        super().__init__(layer)
        if not 0 <= alpha <= 1:
            raise ValueError(f"initial_residual: alpha must be in [0, 1], got {alpha}.")
        self.alpha = alpha

    def leave(self, y: Tensor, x: Tensor, memory: dict[str, Tensor]) -> Tensor:
        """(1 - alpha) y + alpha h_0; the first layer keeps its input as h_0."""
        return (1 - self.alpha) * y + self.alpha * memory.setdefault("h0", x)
