"""Fused NeuTRENO attention over a dense N x N one, forward and backward: `python -m tests.benchmarks.attention`.

Goal: at least 3x faster in float32 at 2,048 and 8,192 tokens, and memory that grows linearly in N.
"""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from jobs.api import Layer
from jobs.operators.attention import Attention
from jobs.variants.neutreno import NeuTRENO
from tests.benchmarks.measure import peak_bytes, ratio, table, turns

HEADS, CHANNELS, LAM = 4, 64, 0.6


Operands = tuple[Tensor, Tensor, Tensor, Tensor]


def operands(tokens: int) -> Operands:
    """q, k, v and v0."""
    draws = torch.Generator().manual_seed(0)
    return tuple(torch.randn(1, HEADS, tokens, CHANNELS, generator=draws).requires_grad_() for _ in range(4))  # type: ignore[return-value]


def fused(given: Operands) -> None:
    q, k, v, v0 = given
    variant = NeuTRENO(Layer(1, 2, HEADS * CHANNELS, HEADS, causal=False), lam=LAM)
    variant.mix(Attention(q, k, x=v, memory={"v0": v0}), v).square().sum().backward()


def dense(given: Operands) -> None:
    q, k, v, v0 = given
    weights = (q @ k.mT * CHANNELS**-0.5).softmax(-1)
    (weights @ v + LAM * (v0 - v)).square().sum().backward()


def from_scratch(work: Callable[[Operands], None], tokens: int) -> None:
    """What the memory of a fresh process is measured on."""
    work(operands(tokens))


def main() -> None:
    rows = []
    for tokens, rounds in ((2048, 9), (8192, 3)):
        given = operands(tokens)
        seconds = turns({"fused": partial(fused, given), "dense": partial(dense, given)}, rounds=rounds)
        lean, fat = peak_bytes(from_scratch, fused, tokens), peak_bytes(from_scratch, dense, tokens)
        speed = f"{ratio(seconds, 'dense', 'fused'):.1f}"
        rows.append((tokens, speed, lean >> 20, fat >> 20, f"{fat / lean:.1f}"))
    header = ("tokens", "dense / fused time", "fused peak MiB", "dense peak MiB", "dense / fused memory")
    print(table("NeuTRENO attention, forward and backward, float32", header, rows))


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
