"""What a token may see: not the future, not padding, not other samples, not where it stands, not an earlier batch."""

import dataclasses
from collections.abc import Sequence

import torch
from torch import Tensor

from jobs.api import Variant
from jobs.check import leak, oracle, sites
from jobs.check.sites import LENGTH, Site
from jobs.check.subject import EXACT, Failed, Subject, distance, scatter
from jobs.hosts.lm import Decoder, Shape
from jobs.registry import plug

_SHAPE = Shape(vocabulary=11, context=6, depth=3, width=8, heads=2, ffn=16, normalize_before=True)
_TURNED = (3, 1, 4, 0, 2)


def future(subject: Subject) -> str:
    """In a causal stack of three layers no token sees a later one, by gradient and by perturbation."""
    subject.sites(among=["causal attention"])
    stack = Decoder(_SHAPE, plug(subject.cls, subject.name, {}, seed=0)).double().layers
    scatter([part for part in stack.modules() if isinstance(part, Variant)])
    x = torch.randn(1, 1, 6, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    for mode in ("evaluation", "training"):
        stack.train(mode == "training")
        for how, measure in (("gradient", leak.future_gradient), ("perturbation", leak.future_effect)):
            if (seen := measure(lambda tokens: stack(tokens)[0], x)) > EXACT:
                raise Failed(
                    f"tokens see later ones in {mode} ({how} {seen:.2g}); use a.mean or a.consensus, not v.mean"
                )
    return "none, by gradient and by perturbation"


def padding(subject: Subject) -> str:
    """A sequence gives the same with padding behind it and without."""
    worst = 0.0
    for name, padded in subject.sites(among=["padded attention", "padded causal attention"]).items():
        cut = sites.attention(causal=padded.layers[0].causal, tokens=range(LENGTH))
        found, expected = (branches(site, subject) for site in (padded, cut))
        off = distance([branch[0, :, :LENGTH] for branch in found], [branch[0] for branch in expected])
        if off > EXACT:
            raise Failed(f"{name}: padding changes the tokens before it by {off:.2g}; use a.mean, not v.mean")
        worst = max(worst, off)
    return f"largest difference {worst:.0e}"


def samples(subject: Subject) -> str:
    """In evaluation no sample depends on another of its batch."""
    for name, site in subject.sites(among=["full attention", "causal attention"]).items():
        first = sum((branch[0].square().sum() for branch in branches(site, subject)), torch.zeros(()))
        parts = torch.autograd.grad(first, list(site.inputs), materialize_grads=True)
        if (seen := max(part[1:].abs().max().item() for part in parts)) > 0:
            raise Failed(f"{name}: sample 0 depends on sample 1 (gradient {seen:.2g})")
    return "none"


def order(subject: Subject) -> str:
    """Without positions, tokens in another order give the same in that order."""
    turned = {
        "full attention": lambda: sites.attention(causal=False, tokens=_TURNED),
        "symmetric graph": lambda: sites.propagation("symmetric", tokens=_TURNED),
        "row graph": lambda: sites.propagation("row", tokens=_TURNED),
        "attention over edges": lambda: sites.edge_attention(tokens=_TURNED),
    }
    worst = 0.0
    for name, site in subject.sites(among=turned).items():
        before, after = branches(site, subject), branches(turned[name](), subject)
        off = distance(after, [branch[..., _TURNED, :] for branch in before])
        if off > EXACT:
            raise Failed(f"{name}: tokens in another order give something else, by {off:.2g}")
        worst = max(worst, off)
    return f"largest difference {worst:.0e}"


def batches(subject: Subject) -> str:
    """An instance that has seen a batch gives the next one what a fresh instance gives it."""
    for name, site in subject.sites().items():
        fresh, seasoned = subject.pair(site), subject.pair(site)
        other = _shifted(site)
        oracle.fused(other, seasoned)
        off = distance(oracle.fused(site, seasoned), oracle.fused(site, fresh))
        if off > 0:
            raise Failed(f"{name}: what an earlier batch left changes the next one by {off:.2g}; keep it in a.memory")
    return "none"


def operands(subject: Subject) -> str:
    """Values, inputs and outputs are left as they were."""
    for name, site in subject.sites().items():
        before = [part.detach().clone() for part in site.inputs]
        with torch.no_grad():
            oracle.fused(site, subject.pair(site))
        if distance([part.detach() for part in site.inputs], before) > 0:
            raise Failed(f"{name}: it changes its operands in place; write out of place")
    return "untouched"


def branches(site: Site, subject: Subject) -> list[Tensor]:
    """What both layers add, in evaluation, with learned parameters away from where they start."""
    variants, memory = subject.pair(site), dict[str, Tensor]()
    scatter(variants)
    return [_branch(site, layer, variant, memory) for layer, variant in enumerate(variants)]


def _branch(site: Site, layer: int, variant: Variant, memory: dict[str, Tensor]) -> Tensor:
    x = site.x[layer]
    y: Tensor = variant(site.operator(x, memory), site.values[layer], site.project)
    return y


def _shifted(site: Site) -> Site:
    """The same site with other operands."""

    def other(parts: Sequence[Tensor]) -> list[Tensor]:
        return [2 * part.detach().flip(-2) + 1 for part in parts]

    return dataclasses.replace(site, values=other(site.values), x=other(site.x), y=other(site.y))
