"""What a variant costs beside the baseline. Nothing fails here; more than a tenth is said, for fairness."""

import torch
from torch import nn

from jobs.api import Layer, Variant
from jobs.check.subject import NotApplicable, Subject
from jobs.operators.attention import Attention
from jobs.training.cost import operations

_TOKENS, _WIDTH, _HEADS, _DEPTH = 197, 192, 4, 12
_FAIR = 0.1


def cost(subject: Subject) -> str:
    """Parameters, operations and memory of a DeiT-sized attention layer, relative to the baseline's whole layer."""
    layer = Layer(1, _DEPTH, _WIDTH, _HEADS, causal=False)
    if reason := subject.cls.skip(layer):
        raise NotApplicable(reason)
    baseline = _measure(Variant(layer))
    found = _measure(subject.build(layer).float())
    extra = {name: found[name] / baseline[name] - 1 for name in found}
    said = ", ".join(f"{name} {share:+.1%}" for name, share in extra.items())
    over = [name for name, share in extra.items() if share > _FAIR]
    return f"{said}{'; more than 10%: say so beside results' if over else ''}"


def _measure(variant: Variant) -> dict[str, float]:
    """Of one attention layer with its projections and feed-forward part: a fair share of a whole model."""
    qkv, out, feed = nn.Linear(_WIDTH, 3 * _WIDTH), nn.Linear(_WIDTH, _WIDTH), _feed_forward()
    x = torch.randn(1, 1, _TOKENS, _WIDTH, generator=torch.Generator().manual_seed(0)).requires_grad_()
    saved: set[tuple[int, int]] = set()

    def note(tensor: torch.Tensor) -> torch.Tensor:
        saved.add((tensor.data_ptr(), tensor.numel() * tensor.element_size()))
        return tensor

    with operations() as counter, torch.autograd.graph.saved_tensors_hooks(note, lambda kept: kept):
        q, k, v = qkv(variant.enter(x)).squeeze(1).unflatten(-1, (3, _HEADS, -1)).permute(2, 0, 3, 1, 4)
        a = Attention(q, k, x=x, memory={})
        y = variant(a, v, lambda mixed: out(mixed.transpose(1, 2).flatten(2))[:, None])
        z = x + y
        z = variant.leave(z + variant.feed(feed(variant.enter(z))), x, {})
        variant.penalty(z)
    parameters = sum(part.numel() for module in (qkv, out, feed, variant) for part in module.parameters())
    return {
        "parameters": parameters,
        "operations": counter.get_total_flops(),
        "memory for backward": sum(size for _, size in saved),
    }


def _feed_forward() -> nn.Module:
    return nn.Sequential(nn.Linear(_WIDTH, 4 * _WIDTH), nn.GELU(), nn.Linear(4 * _WIDTH, _WIDTH))
