"""A stack of blocks that hands the variant's kept tensors from block to block.

Kept tensors travel as arguments and results, never as state: nothing to clear between batches, nothing that a
recomputation under activation checkpointing would miss, nothing that deepcopy or a second forward pass shares.
"""

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint

from jobs.api import Variant
from jobs.errors import VariantError

Kept = tuple[Tensor | None, ...]
"""One entry for each name in `Variant.keeps`; None until a layer has set it."""


def recall(variant: Variant, kept: Kept) -> dict[str, Tensor]:
    """The memory a block offers its variant."""
    return {name: tensor for name, tensor in zip(variant.keeps, kept, strict=True) if tensor is not None}


def retain(variant: Variant, memory: dict[str, Tensor]) -> Kept:
    """The memory after the variant ran, in the form blocks exchange.

    Raises:
        VariantError: it kept something that it does not declare.
    """
    undeclared = sorted(set(memory) - set(variant.keeps))
    if undeclared:
        raise VariantError(
            f"{type(variant).__name__} stores {undeclared[0]!r} in a.memory without declaring it; "
            f"declared: keeps = {variant.keeps!r}. Add the name to `keeps`."
        )
    return tuple(memory.get(name) for name in variant.keeps)


class Stack(nn.Sequential):
    """Blocks `block(x, context, *kept) -> (x, penalty, *kept)`, each with its `Variant` at `block.variant`.

    `context` is whatever every block of the host needs beside x: a graph's edges, a padding mask, or None.
    """

    checkpointing: bool = False
    """Whether training recomputes each block in the backward pass instead of storing it."""

    def forward(self, x: Tensor, context: Any = None) -> tuple[Tensor, Tensor]:
        """The last block's output and the sum of the penalties."""
        (x,), penalty = self.outputs(x, context, (len(self) - 1,))
        return x, penalty

    def outputs(self, x: Tensor, context: Any, layers: Sequence[int]) -> tuple[list[Tensor], Tensor]:
        """The outputs of the blocks `layers`, as often as each is named, and the sum of all penalties."""
        penalty = x.new_zeros(())
        first: Any = self[0]
        kept: Kept = (None,) * len(first.variant.keeps)
        found: dict[int, Tensor] = {}
        for index, block in enumerate(self):
            if self.checkpointing and self.training:
                x, extra, *kept = checkpoint(block, x, context, *kept, use_reentrant=False, **_recomputing(block))
            else:
                x, extra, *kept = block(x, context, *kept)
            penalty = penalty + extra
            if index in layers:
                found[index] = x
        return [found[layer] for layer in layers], penalty


def _recomputing(block: nn.Module) -> dict[str, Any]:
    """How `checkpoint` is to compute a block again: without counting a batch twice in running statistics."""
    norms = [part for part in block.modules() if isinstance(part, _BatchNorm)]
    return {"context_fn": lambda: (contextlib.nullcontext(), _counted_already(norms))} if norms else {}


@contextlib.contextmanager
def _counted_already(norms: Sequence[_BatchNorm]) -> Iterator[None]:
    """Running means, variances and counts stay as they are in the block."""
    momenta = [norm.momentum for norm in norms]
    counts = [norm.num_batches_tracked for norm in norms]
    before = [count.clone() if count is not None else None for count in counts]
    for norm in norms:
        norm.momentum = 0.0
    try:
        yield
    finally:
        for norm, momentum, count, kept in zip(norms, momenta, counts, before, strict=True):
            norm.momentum = momentum
            if count is not None and kept is not None:
                count.copy_(kept)
