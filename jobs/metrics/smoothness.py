"""Over-smoothing metrics: how alike the tokens of each layer are, on one fixed evaluation batch.

Two sites per layer: `branch`, what the variant adds to the residual stream, and `block`, the layer's output.
Every token counts (class tokens too), no absolute values are taken, and a batch is averaged over its samples.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from jobs.api import Task, Variant

Row = dict[str, Any]
"""stack, layer, site, then cosine, residual, rank and norm."""


def cosine(x: Tensor) -> Tensor:
    """Mean cosine between different tokens: (|sum u|^2 - N) / (N (N - 1)) with u = x / |x|; (..., N, C) -> (...).

    Two equal tokens and one opposite: pairs 1, -1, -1.

    >>> cosine(torch.tensor([[1.0, 0.0], [1.0, 0.0], [-1.0, 0.0]])).item()
    -0.3333333432674408
    """
    tokens = x.shape[-2]
    u = x / x.norm(dim=-1, keepdim=True).clamp(min=torch.finfo(x.dtype).tiny)
    return (u.sum(-2).square().sum(-1) - tokens) / (tokens * (tokens - 1))


def residual(x: Tensor) -> Tensor:
    """What is left of x without its mean, |X - 1 mean| / |X| (Frobenius), in [0, 1]; (..., N, C) -> (...).

    >>> residual(torch.tensor([[3.0, 1.0], [3.0, -1.0]])).item() ** 2
    0.10000000...
    """
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
    return x.norm(dim=-1).mean(-1)


METRICS: Mapping[str, Callable[[Tensor], Tensor]] = {"cosine": cosine, "residual": residual, "rank": rank, "norm": norm}


@torch.no_grad()
def measure(x: Tensor) -> dict[str, float]:
    """All four metrics of (..., N, C), each averaged over the leading dimensions."""
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

    def hook(row: Row) -> Callable[[nn.Module, Any, Any], None]:
        def record(module: nn.Module, inputs: Any, output: Any) -> None:
            x = output[0] if isinstance(output, tuple) else output
            rows.append(row | measure(x))

        return record

    for stack, blocks in stacks.items():
        for layer, block in enumerate(blocks):
            place = {"stack": stack, "layer": layer}
            variant = next(part for part in block.modules() if isinstance(part, Variant))
            handles.append(variant.register_forward_hook(hook(place | {"site": "branch"})))
            handles.append(block.register_forward_hook(hook(place | {"site": "block"})))
    try:
        yield rows
    finally:
        for handle in handles:
            handle.remove()
