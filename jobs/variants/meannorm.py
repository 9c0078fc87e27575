"""MeanNorm: take the mean over nodes out of what a convolution gives.

    y <- y - mean(y)        mean over nodes

Source: Yang, Wang, Yao, Liu, Abdelzaher, "Revisiting Over-smoothing in Deep GCNs", arXiv 2003.13663, 2020.
"""

from torch import Tensor

from jobs.api import Layer, Smoothing, Variant


class MeanNorm(Variant):
    """Centred nodes."""

    @classmethod
    def skip(cls, layer: Layer) -> str | None:
        return None if layer.graph else "It stands between convolution and activation; a transformer has its own norms."

    def refine(self, y: Tensor, a: Smoothing) -> Tensor:
        """The nodes less their mean, y - mean(y)."""
        return y - a.mean(y)
