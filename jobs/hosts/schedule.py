"""Learning rates as factors of their peak: a warm-up and a cosine, step by step or epoch by epoch.

Source: Loshchilov, Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts", ICLR 2017; by epoch as timm's
CosineLRScheduler does it for DeiT.
"""

import dataclasses
import math

_FLOOR = 0.01


def by_step(step: int, steps: int, warmup: float) -> float:
    """Up to 1 in the share `warmup` of the steps, then down a cosine to 0.01."""
    rising = max(1, round(warmup * steps))
    if step < rising:
        return (step + 1) / rising
    done = (step - rising) / max(1, steps - rising)
    return _FLOOR + (1 - _FLOOR) * _cosine(done)


@dataclasses.dataclass(frozen=True)
class ByEpoch:
    """The rate of whole epochs: a line from `first` to 1 over `warmup` epochs, then a cosine to `last`.

    The cosine begins at epoch 0, beneath the line. DeiT's loop asks for an epoch's rate when the epoch is over, so
    every epoch runs at the rate of the one before; so it is here, for the recipe is what was trained with.
    """

    warmup: int  # epochs
    first: float  # share of the peak
    last: float  # share of the peak

    def factor(self, epoch: int, epochs: float) -> float:
        """The rate during `epoch` (0-based) of `epochs`.

        >>> [ByEpoch(warmup=2, first=0.0, last=0.0).factor(epoch, 4) for epoch in range(4)]
        [0.0, 0.0, 0.5, 0.5]
        """
        asked = max(0, epoch - 1)
        if asked < self.warmup:
            return self.first + (1 - self.first) * asked / self.warmup
        return self.last + (1 - self.last) * _cosine(min(1.0, asked / epochs))


def _cosine(done: float) -> float:
    return (1 + math.cos(math.pi * done)) / 2
