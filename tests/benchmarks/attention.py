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

SHAPES = ((3, 64), (8, 16))
"""Heads and channels per head: DeiT-tiny and the 16-layer WikiText-103 recipe."""
LAM = 0.6

Operands = tuple[Tensor, ...]


def operands(tokens: int, heads: int, channels: int) -> Operands:
    """q, k, v and v0."""
    draws = torch.Generator().manual_seed(0)
    return tuple(torch.randn(1, heads, tokens, channels, generator=draws).requires_grad_() for _ in range(4))


def fused(given: Operands) -> None:
    q, k, v, v0 = given
    _, heads, _, channels = q.shape
    variant = NeuTRENO(Layer(1, 2, heads * channels, heads, causal=False), lam=LAM)
    variant.mix(Attention(q, k, x=v, memory={"v0": v0}), v).square().sum().backward()


def dense(given: Operands) -> None:
    q, k, v, v0 = given
    weights = (q @ k.mT * q.shape[-1] ** -0.5).softmax(-1)
    (weights @ v + LAM * (v0 - v)).square().sum().backward()


def from_scratch(work: Callable[[Operands], None], *sizes: int) -> None:
    """What the memory of a fresh process is measured on."""
    work(operands(*sizes))


def main() -> None:
    rows = []
    for heads, channels in SHAPES:
        for tokens, rounds in ((2048, 9), (8192, 3)):
            given = operands(tokens, heads, channels)
            seconds = turns({"fused": partial(fused, given), "dense": partial(dense, given)}, rounds=rounds)
            lean = peak_bytes(from_scratch, fused, tokens, heads, channels)
            fat = peak_bytes(from_scratch, dense, tokens, heads, channels)
            speed = f"{ratio(seconds, 'dense', 'fused'):.1f}"
            rows.append((f"{heads} x {channels}", tokens, speed, lean >> 20, fat >> 20, f"{fat / lean:.1f}"))
    header = ("heads x channels", "tokens", "dense / fused time", "fused MiB", "dense MiB", "dense / fused memory")
    print(table("NeuTRENO attention, forward and backward, float32", header, rows))


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
