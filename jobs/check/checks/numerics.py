"""Precision: float32 and bfloat16, the fused call against the dense matrix, and numbers that stay finite."""

import torch
from torch import Tensor

from jobs.api import Layer, Variant
from jobs.check import tiny
from jobs.check.checks.building import hosts
from jobs.check.subject import Failed, NotApplicable, Subject
from jobs.operators.attention import Attention

_TOKENS, _HEADS, _CHANNELS = 197, 2, 32
_MEAN = 5.0
"""Of the values, in standard deviations: where a difference of large means loses bfloat16's eight bits."""
_COARSE = 0.05
"""Largest relative error in bfloat16: what rounding the operands alone costs is 0.004."""
_SINGLE = 1e-4
_PLAIN = ("full attention", "causal attention")


class Dense(Attention):
    """The same operator through its matrix, without a fused kernel."""

    def __call__(self, v: Tensor) -> Tensor:
        return self.rows(torch.arange(self.q.shape[-2], device=self.q.device)) @ v


def parity(subject: Subject) -> str:
    """The fused call and the dense matrix give the same, causal or not."""
    if subject.cls.operator is not Variant.operator or "dense" in subject.cls.needs:
        raise NotApplicable("it makes no use of the host's fused call; its formula is what it is compared with")
    worst = 0.0
    for name, site in subject.sites(among=_PLAIN).items():
        causal = site.layers[0].causal
        fused, dense = (_apply(subject, kind, torch.float32, causal=causal) for kind in (Attention, Dense))
        if (off := _error(fused, dense)) > _SINGLE:
            raise Failed(f"{name}: the fused call and the dense matrix differ by {off:.2g} (relative)")
        worst = max(worst, off)
    return f"largest difference {worst:.0e}"


def bfloat16(subject: Subject) -> str:
    """In bfloat16 the branch stays near the exact one although the values have a large common part."""
    worst = 0.0
    for name, site in subject.sites(among=_PLAIN).items():
        causal = site.layers[0].causal
        exact, coarse = (_apply(subject, Attention, dtype, causal=causal) for dtype in (torch.float64, torch.bfloat16))
        off = _error(coarse, exact)
        if not off <= _COARSE:
            raise Failed(f"{name}: relative error {off:.2g} in bfloat16, where {_COARSE} is allowed; use a.deviation")
        worst = max(worst, off)
    return f"relative error {worst:.1e}"


def autocast(subject: Subject) -> str:
    """Every task's loss is finite in float32 and under autocast to bfloat16, and about the same."""
    worst = 0.0
    for name, (task, model) in hosts(subject).items():
        batch = tiny.draws(task, name)
        exact, _ = tiny.gradients(task, model, batch)
        with torch.autocast("cpu", torch.bfloat16):
            coarse, gradients = tiny.gradients(task, model, batch)
        if not (exact.isfinite() and coarse.isfinite()):
            raise Failed(f"{name}: the loss is {exact.item():g} in float32 and {coarse.item():g} under autocast")
        if any(gradient is None or not gradient.isfinite().all() for gradient in gradients.values()):
            raise Failed(f"{name}: a gradient is not finite under autocast")
        off = ((coarse - exact).abs() / exact.abs().clamp(min=1.0)).item()
        if off > _COARSE:
            raise Failed(f"{name}: the loss moves by {off:.2g} (relative) under autocast, where {_COARSE} is allowed")
        worst = max(worst, off)
    return f"the loss moves by {worst:.1e}"


@torch.no_grad()
def _apply(subject: Subject, kind: type[Attention], dtype: torch.dtype, *, causal: bool) -> Tensor:
    """The branch of the second of two layers, from operands that bfloat16 can hold."""
    draws = torch.Generator().manual_seed(3)
    shape = (6, 1, _HEADS, _TOKENS, _CHANNELS)
    q, k, v0, v, x0, x = torch.randn(shape, generator=draws).bfloat16().to(dtype)
    width = _HEADS * _CHANNELS
    memory: dict[str, Tensor] = {}
    branch = x
    for index, (values, inputs) in enumerate(((v0, x0), (v, x))):
        layer = Layer(index, 2, width, _HEADS, causal)
        variant = subject.build(layer).to(dtype).eval()
        wide = inputs.transpose(1, 2).flatten(2)[:, None]
        a = kind(q, k, x=wide, memory=memory, causal=causal)
        branch = variant(a, values + _MEAN, lambda mixed: mixed.transpose(1, 2).flatten(2)[:, None])
    return branch.double()


def _error(found: Tensor, expected: Tensor) -> float:
    return ((found - expected).norm() / expected.norm().clamp(min=1e-12)).item()
