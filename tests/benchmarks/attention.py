"""Fused NeuTRENO attention over a dense N x N one, forward and backward: `python -m tests.benchmarks.attention`.

Goal: at least 3x faster in float32 at 2,048 and 8,192 tokens, and memory that grows linearly in N.
"""

import torch
from torch import Tensor

from jobs.api import Layer
from jobs.operators.attention import Attention
from jobs.variants.neutreno import NeuTRENO
from tests.benchmarks.measure import peak_bytes, ratio, table, turns

HEADS, CHANNELS, LAM = 4, 64, 0.6


def operands(tokens: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """q, k, v and v0."""
    draws = torch.Generator().manual_seed(0)
    return tuple(torch.randn(1, HEADS, tokens, CHANNELS, generator=draws).requires_grad_() for _ in range(4))  # type: ignore[return-value]


def fused(tokens: int) -> None:
    q, k, v, v0 = operands(tokens)
    variant = NeuTRENO(Layer(1, 2, HEADS * CHANNELS, HEADS, causal=False), lam=LAM)
    variant.mix(Attention(q, k, x=v, memory={"v0": v0}), v).square().sum().backward()


def dense(tokens: int) -> None:
    q, k, v, v0 = operands(tokens)
    weights = (q @ k.mT * CHANNELS**-0.5).softmax(-1)
    (weights @ v + LAM * (v0 - v)).square().sum().backward()


def main() -> None:
    rows = []
    for tokens, rounds in ((2048, 7), (8192, 3)):
        seconds = turns({"fused": lambda n=tokens: fused(n), "dense": lambda n=tokens: dense(n)}, rounds=rounds)
        lean, fat = peak_bytes(fused, tokens), peak_bytes(dense, tokens)
        rows.append(
            (tokens, f"{ratio(seconds, 'dense', 'fused'):.1f}", f"{lean >> 20}", f"{fat >> 20}", f"{fat / lean:.1f}")
        )
    header = ("tokens", "dense / fused time", "fused peak MiB", "dense peak MiB", "dense / fused memory")
    print(table("NeuTRENO attention, forward and backward, float32", header, rows))


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
