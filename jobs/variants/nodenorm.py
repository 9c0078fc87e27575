"""NodeNorm: every node's channels are centred and brought to unit variance.

    y_i <- (y_i - mean_d y_i) / sqrt(var_d y_i + 1e-5)        mean and (biased) variance over channels

Source: Zhou, Dong, Wang, Lee, Hooi, Xu, Feng, "Understanding and Resolving Performance Degradation in Deep Graph
Convolutional Networks", CIKM 2021; the full norm, without gain or shift.
"""

from torch import Tensor
from torch.nn.functional import layer_norm

from jobs.api import Smoothing
from jobs.variants.meannorm import MeanNorm


class NodeNorm(MeanNorm):
    """Nodes of equal length."""

    def refine(self, y: Tensor, a: Smoothing) -> Tensor:
        """(y - mean_d) / std_d."""
        return layer_norm(y, y.shape[-1:], eps=1e-5)
