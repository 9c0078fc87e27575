"""Over-smoothing metrics: how alike the tokens of each layer are, on one fixed evaluation batch.

Two sites per layer: `branch`, what the variant adds to the residual stream, and `block`, the layer's output.
Every token counts (class tokens too), no absolute values are taken, and a batch is averaged over its samples.

Where a metric needs the smoothing operator A, it is the host's, before the variant: the Dirichlet energy at both sites
(one more product with A each), and attention's entropy and first-token mass at the branch, on ROWS queries.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from jobs.api import Smoothing, Task, Variant
from jobs.operators.attention import Attention

Row = dict[str, Any]
"""stack, layer, site, then cosine, residual, ratio, rank, norm and energy; entropy and first where A is attention."""

ROWS = 16
"""Queries, evenly spaced, whose attention is looked at."""
_MOST = 1e6
"""The largest ratio that is told: tokens without a mean."""


def scaled(x: Tensor, dims: int | tuple[int, ...]) -> Tensor:
    """`x` over its largest entry by absolute value: a deep network's features may be too small to be squared."""
    return x / x.abs().amax(dims, keepdim=True).clamp(min=torch.finfo(x.dtype).tiny)


def cosine(x: Tensor) -> Tensor:
    """Mean cosine between different tokens: (|sum u|^2 - N) / (N (N - 1)) with u = x / |x|; (..., N, C) -> (...).

    Tokens of zeros are alike (cosine 1), and at a right angle to all others. Two equal tokens and one opposite: pairs
    1, -1, -1.

    >>> cosine(torch.tensor([[1.0, 0.0], [1.0, 0.0], [-1.0, 0.0]])).item()
    -0.3333333432674408
    >>> cosine(torch.tensor([[0.0, 0.0], [0.0, 0.0], [1.0, 0.0]])).item()
    0.3333333432674408
    """
    tokens = x.shape[-2]
    u = normalize(scaled(x, -1), dim=-1)
    zeros = (x == 0).all(-1).sum(-1)
    return (u.sum(-2).square().sum(-1) + zeros.square() - tokens) / (tokens * (tokens - 1))


def residual(x: Tensor) -> Tensor:
    """What is left of x without its mean, |X - 1 mean| / |X| (Frobenius), in [0, 1]; (..., N, C) -> (...).

    >>> residual(torch.tensor([[3.0, 1.0], [3.0, -1.0]])).item() ** 2
    0.10000000...
    """
    x = scaled(x, (-2, -1))
    whole = torch.linalg.matrix_norm(x)
    return torch.linalg.matrix_norm(x - x.mean(-2, keepdim=True)) / whole.clamp(min=torch.finfo(x.dtype).tiny)


def rank(x: Tensor) -> Tensor:
    """Effective rank of the centred tokens: exp of the entropy of the normalised singular values; (..., N, C) -> (...).

    From the C x C Gram matrix in float64; zero singular values are passed over, and identical tokens have rank 0.

    >>> rank(torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])).item()
    2.0
    """
    centred = (x - x.mean(-2, keepdim=True)).double()
    values = torch.linalg.eigvalsh(centred.mT @ centred).clamp(min=0)
    noise = torch.finfo(torch.float64).eps * x.shape[-1] * values.amax(-1, keepdim=True)
    singular = values.where(values > noise, 0.0).sqrt()
    share = singular / singular.sum(-1, keepdim=True).clamp(min=torch.finfo(torch.float64).tiny)
    entropy = torch.special.entr(share).sum(-1)
    return entropy.exp().where(singular.sum(-1) > 0, 0.0)


def norm(x: Tensor) -> Tensor:
    """Mean length of a token; (..., N, C) -> (...).

    >>> norm(torch.tensor([[3.0, 4.0], [0.0, 1.0]])).item()
    3.0
    """
    largest = x.abs().amax(-1)
    return (largest * scaled(x, -1).norm(dim=-1)).mean(-1)


def ratio(x: Tensor) -> Tensor:
    """High over low frequencies, |X - 1 mean| / |1 mean| (Frobenius), at most 1e6; (..., N, C) -> (...).

    >>> ratio(torch.tensor([[3.0, 1.0], [3.0, -1.0]])).item() ** 2
    0.111111...
    """
    x = scaled(x, (-2, -1))
    mean = x.mean(-2, keepdim=True)
    low = torch.linalg.matrix_norm(mean.expand_as(x)).clamp(min=torch.finfo(x.dtype).tiny)
    return (torch.linalg.matrix_norm(x - mean) / low).clamp(max=_MOST)


def energy(x: Tensor, a: Smoothing, heads: int) -> Tensor:
    """Dirichlet energy as a Rayleigh quotient, tr(X^T (I - A) X) / |X|^2; (..., 1, N, C) -> ().

    It is 0 if A leaves X as it is, zeros included. The channels are dealt to the heads in order, and each part meets
    its head's A.
    """
    parts = scaled(x, (-3, -2, -1)).squeeze(-3).unflatten(-1, (heads, -1)).transpose(-3, -2)
    smoothed = (parts * a(parts)).sum((-3, -2, -1))
    whole = parts.square().sum((-3, -2, -1))
    return ((whole - smoothed) / whole.clamp(min=torch.finfo(x.dtype).tiny)).mean()


def attention(a: Attention) -> dict[str, float]:
    """Of ROWS rows of A: the mean entropy [nat] and the mean weight of the first token."""
    tokens = a.q.shape[-2]
    queries = torch.linspace(0, tokens - 1, min(ROWS, tokens), device=a.q.device).round().long()
    weights = a.rows(queries).float()
    entropy = torch.special.entr(weights).sum(-1).mean()
    return {"entropy": entropy.item(), "first": weights[..., 0].mean().item()}


METRICS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "cosine": cosine,
    "residual": residual,
    "ratio": ratio,
    "rank": rank,
    "norm": norm,
}


@torch.no_grad()
def measure(x: Tensor) -> dict[str, float]:
    """The metrics of (..., N, C) that need no operator, each averaged over the leading dimensions."""
    x = x.detach().float()
    return {name: metric(x).double().mean().item() for name, metric in METRICS.items()}


@torch.no_grad()
def profile(task: Task, model: nn.Module) -> list[Row]:
    """The metrics of every layer on the task's fixed evaluation batch; the model's mode stays as it is."""
    training = model.training
    model.eval()
    try:
        with listen(task.blocks(model)) as rows:
            task.probe(model)
    finally:
        model.train(training)
    return sorted(rows, key=lambda row: (row["stack"], row["site"], row["layer"]))


@contextmanager
def listen(stacks: Mapping[str, Sequence[nn.Module]]) -> Iterator[list[Row]]:
    """Collect one row per stack, layer and site from the forward passes inside the `with` block."""
    rows: list[Row] = []
    handles = []
    for stack, blocks in stacks.items():
        for layer, block in enumerate(blocks):
            ear = _Ear(block, rows, {"stack": stack, "layer": layer})
            handles += [ear.variant.register_forward_hook(ear.branch), block.register_forward_hook(ear.block)]
    try:
        yield rows
    finally:
        for handle in handles:
            handle.remove()


class _Ear:
    """Listens to one layer: its variant's result comes first, and with it the operator."""

    def __init__(self, block: nn.Module, rows: list[Row], place: Row) -> None:
        self.variant = next(part for part in block.modules() if isinstance(part, Variant))
        self._rows, self._place = rows, place
        self._a: Smoothing | None = None

    @torch.no_grad()
    def branch(self, module: nn.Module, inputs: Any, output: Any) -> None:
        self._a = inputs[0]
        found = self._measured(output)
        self._rows.append(self._place | {"site": "branch"} | found | self._of_attention())

    @torch.no_grad()
    def block(self, module: nn.Module, inputs: Any, output: Any) -> None:
        x = output[0] if isinstance(output, tuple) else output
        self._rows.append(self._place | {"site": "block"} | self._measured(x))
        self._a = None

    def _measured(self, x: Tensor) -> dict[str, float]:
        assert self._a is not None, "a block calls its variant"
        return measure(x) | {"energy": energy(self._shaped(x), self._a, self.variant.layer.heads).item()}

    def _shaped(self, x: Tensor) -> Tensor:
        """(..., 1, N, C), in the operator's precision, whatever the host calls its layer's output."""
        assert self._a is not None
        return x.reshape(*self._a.x.shape).to(self._a.x.dtype)

    def _of_attention(self) -> dict[str, float]:
        return attention(self._a) if isinstance(self._a, Attention) else {}
