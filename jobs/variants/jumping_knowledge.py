"""Jumping knowledge: the last layer hands on what all layers have found, channel by channel, not only the last word.

    h_L = max_l y_l  or  mean_l y_l        y_l: the output of layer l, l = 1 ... L

Source: Xu, Li, Tian, Sonobe, Kawarabayashi, Jegelka, "Representation Learning on Graphs with Jumping Knowledge
Networks", ICML 2018; the element-wise maximum. Their concatenation would change the width of the output map and is left
out, so that every variant trains the same host.
"""

from typing import Literal

import torch
from torch import Tensor

from jobs.api import Layer, Variant


class JumpingKnowledge(Variant):
    """The `max` or `mean` over layers at the end."""

    keeps = ("so_far",)

    def __init__(self, layer: Layer, *, mode: Literal["max", "mean"] = "max") -> None:
        super().__init__(layer)
        if mode not in ("max", "mean"):
            raise ValueError(f"jumping_knowledge: mode must be max or mean, got {mode!r}.")
        self.mode = mode

    def leave(self, y: Tensor, x: Tensor, memory: dict[str, Tensor]) -> Tensor:
        """The output; in the last layer the maximum or mean of every layer's y."""
        before = memory.get("so_far")
        if before is None:
            memory["so_far"] = y
        else:
            memory["so_far"] = torch.maximum(before, y) if self.mode == "max" else before + y
        if self.layer.index < self.layer.depth - 1:
            return y
        return memory["so_far"] if self.mode == "max" else memory["so_far"] / self.layer.depth
