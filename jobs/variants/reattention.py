"""Re-attention: attention maps mixed across heads and normalised, so that deep layers do not repeat each other's maps.

    O_l = BN(Theta A_l + b) V_l        Theta mixes the H maps; BN: batch normalisation with a gain and shift per head

Source: Zhou, Kang, Jin, Yang, Lian, Jiang, Hou, Feng, "DeepViT: Towards Deeper Vision Transformer", arXiv 2103.11886,
2021; Theta as torch draws it. It needs the maps themselves, N x N for each head, without attention dropout.
"""

import torch
from torch import Tensor, nn

from jobs.api import Layer, Smoothing, Variant


class ReAttention(Variant):
    """Mixed and normalised maps."""

    needs = frozenset({"dense"})

    def __init__(self, layer: Layer) -> None:
        super().__init__(layer)
        self.theta = nn.Conv2d(layer.heads, layer.heads, 1)
        self.norm = nn.BatchNorm2d(layer.heads)

    @classmethod
    def skip(cls, layer: Layer) -> str | None:
        if layer.graph:
            return "Normalised maps are dense: on a graph they would link every node with every other."
        if layer.causal:
            return "Its normalisation takes statistics over maps of later tokens, which a causal model may not see."
        return "It mixes the maps of several heads; this layer has one." if layer.heads == 1 else None

    def mix(self, a: Smoothing, v: Tensor) -> Tensor:
        """BN(Theta A + b) V; what A hides stays hidden."""
        maps = a.dense().to(self.theta.weight.dtype)
        with torch.autocast(v.device.type, enabled=False):  # nearly uniform maps: the norm would magnify rounding
            mixed: Tensor = self.norm(self.theta(maps))
        return mixed.masked_fill(maps == 0, 0.0).to(v.dtype) @ v
