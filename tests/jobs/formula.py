"""Weights and texts by formula, so that numbers computed elsewhere can be compared to the last digits."""

import torch
from torch import nn

from jobs.data.text import PARTS


def fill(model: nn.Module) -> None:
    """Element j of the i-th parameter becomes 0.4 sin(1.7 i + 0.61 j), plus 1 in the weights of norms."""
    for i, (name, parameter) in enumerate(model.named_parameters()):
        waves = 0.4 * torch.sin(1.7 * i + 0.61 * torch.arange(parameter.numel(), dtype=torch.float64))
        shift = 1.0 if "layer_norm.weight" in name else 0.0
        with torch.no_grad():
            parameter.copy_((waves + shift).view_as(parameter))


def words(count: int, vocabulary: int) -> torch.Tensor:
    """(count,) word numbers >= 2."""
    j = torch.arange(count)
    return (7 * j * j + 3 * j) % (vocabulary - 2) + 2


def lines() -> dict[str, list[str]]:
    """A small text in three parts, blank lines, unknown words and a literal <unk> included."""
    parts = {}
    for part, (count, variety) in zip(PARTS, ((40, 23), (12, 29), (15, 31)), strict=True):
        text = [" ".join(f"w{(i * i + 3 * k) % variety}" for k in range(i * 5 % 7)) for i in range(count)]
        parts[part] = [*text, "w1 <unk> w2"]
    return parts
