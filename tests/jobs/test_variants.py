"""Every registered variant against its looped formula, on every kind of operator."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch
from torch import Tensor

from jobs import registry
from jobs.api import Layer, Smoothing, Variant
from jobs.operators.attention import Attention
from jobs.operators.graph import Edges, Kind, Propagation
from tests.jobs import formulas
from tests.jobs.formulas import FORMULAS, Formula, Head

VARIANTS = registry.variant_names()
BATCH, HEADS, TOKENS, CHANNELS = 2, 2, 5, 3
PAIRS, COMPONENTS = [(0, 1), (1, 2), (2, 0), (3, 4)], [[0, 1, 2], [3, 4]]


@dataclasses.dataclass(frozen=True)
class Site:
    """Two layers of one operator: values by layer, matrices by sample and head, and the operator under test."""

    layers: tuple[Layer, Layer]
    values: tuple[Tensor, Tensor]  # (B, H, N, D), or (H, N, D) on a graph
    project: Tensor  # (C, C)
    a: Callable[[int, int], Tensor]  # sample, head -> (N, N)
    j: Callable[[int], Tensor]  # sample -> (N, N)
    mean: Callable[[int], Tensor]
    operator: Callable[[dict[str, Tensor]], Smoothing]
    inputs: tuple[Tensor, ...]  # what gradients are taken of


def attention_site(*, causal: bool, padded: bool) -> Site:
    draws = torch.Generator().manual_seed(0)
    shape = (4, BATCH, HEADS, TOKENS, CHANNELS)
    q, k, v0, v = (part.requires_grad_() for part in torch.randn(shape, dtype=torch.float64, generator=draws))
    visible = torch.ones(BATCH, TOKENS, dtype=torch.bool)
    if padded:
        visible[0, 3:] = False
    allowed = visible[:, None, :].expand(BATCH, TOKENS, TOKENS)
    allowed = allowed.tril() if causal else allowed
    width = HEADS * CHANNELS
    return Site(
        layers=(Layer(0, 2, width, HEADS, causal), Layer(1, 2, width, HEADS, causal)),
        values=(v0, v),
        project=torch.randn(width, width, dtype=torch.float64, generator=draws),
        a=lambda b, h: formulas.attention(q[b, h], k[b, h], allowed[b]),
        j=lambda b: formulas.averaging(allowed[b]),
        mean=lambda b: formulas.averaging(allowed[b]),
        operator=lambda memory: Attention(q, k, x=v, memory=memory, causal=causal, visible=visible if padded else None),
        inputs=(q, k, v0, v),
    )


def graph_site(kind: Kind) -> Site:
    draws = torch.Generator().manual_seed(0)
    v0, v = (part.requires_grad_() for part in torch.randn(2, 1, TOKENS, 4, dtype=torch.float64, generator=draws))
    matrix = formulas.adjacency(PAIRS, TOKENS)
    edges = Edges(torch.tensor(PAIRS + [(b, a) for a, b in PAIRS]).T, TOKENS, kind, torch.float64)
    return Site(
        layers=(Layer(0, 2, 4, 1, causal=False), Layer(1, 2, 4, 1, causal=False)),
        values=(v0, v),
        project=torch.randn(4, 4, dtype=torch.float64, generator=draws),
        a=lambda b, h: formulas.normalised(matrix, kind),
        j=lambda b: formulas.consensus(matrix, kind, COMPONENTS),
        mean=lambda b: torch.full((TOKENS, TOKENS), 1 / TOKENS, dtype=torch.float64),
        operator=lambda memory: Propagation(edges, x=v, memory=memory),
        inputs=(v0, v),
    )


SITES: dict[str, Callable[[], Site]] = {
    "full": lambda: attention_site(causal=False, padded=False),
    "causal": lambda: attention_site(causal=True, padded=False),
    "padded": lambda: attention_site(causal=False, padded=True),
    "causal padded": lambda: attention_site(causal=True, padded=True),
    "symmetric graph": lambda: graph_site("symmetric"),
    "row graph": lambda: graph_site("row"),
}
on_every_site = pytest.mark.parametrize("site", SITES.values(), ids=SITES.keys())


def formula_of(name: str) -> Formula:
    if name not in FORMULAS:
        pytest.fail(
            f"tests/jobs/formulas.py has no formula for {name!r}. Add a looped function of that name that imports "
            "nothing from jobs, and its line in FORMULAS with arguments away from the neutral point."
        )
    return FORMULAS[name]


def build(name: str, layer: Layer, arguments: Mapping[str, Any]) -> Variant:
    cls = registry.variant(name)
    reason = cls.skip(layer)
    if reason:
        pytest.skip(reason)
    return cls(layer, **arguments).double()


def scatter(variants: list[Variant]) -> None:
    """Give every learned parameter its own value, far from where it starts."""
    draws = torch.Generator().manual_seed(7)
    for variant in variants:
        for parameter in variant.parameters():
            with torch.no_grad():
                parameter += torch.randn(parameter.shape, dtype=torch.float64, generator=draws)


def fused(site: Site, variants: list[Variant]) -> list[Tensor]:
    """What both layers return, the second one after the first, with the memory handed on."""
    memory: dict[str, Tensor] = {}

    def project(mixed: Tensor) -> Tensor:
        return (mixed.transpose(-3, -2).flatten(-2) @ site.project).unsqueeze(-3)

    return [variant(site.operator(memory), v, project) for variant, v in zip(variants, site.values, strict=True)]


def looped(site: Site, variants: list[Variant], formula: Formula) -> list[Tensor]:
    """The same by formula, sample by sample and head by head."""
    first, outputs = _samples(site.values[0]), []
    for variant, values in zip(variants, site.values, strict=True):
        learned = dict(variant.named_parameters())
        samples = [_branch(site, b, (v, first[b]), formula, learned) for b, v in enumerate(_samples(values))]
        outputs.append(torch.stack(samples)[:, None] if values.ndim == 4 else samples[0][None])
    return outputs


def _samples(values: Tensor) -> Tensor:
    return values if values.ndim == 4 else values[None]


def _branch(site: Site, b: int, values: tuple[Tensor, Tensor], formula: Formula, learned: dict[str, Tensor]) -> Tensor:
    v, v0 = values
    own = {} if formula.after else learned
    heads = []
    for h in range(len(v)):
        entries = {name: parameter[h] for name, parameter in own.items()}
        heads.append(formula.before(Head(site.a(b, h), site.j(b), v[h], v0[h]), **formula.arguments, **entries))
    y = torch.cat(heads, -1) @ site.project
    return formula.after(y, site.mean(b), **formula.arguments, **learned) if formula.after else y


def assert_same(site: Site, found: list[Tensor], expected: list[Tensor], parameters: list[Tensor]) -> None:
    """Outputs of both layers, and the gradients of a weighted sum of them."""
    inputs = [*site.inputs, *parameters]
    gradients = []
    for outputs in (found, expected):
        weighted = sum((layer * torch.linspace(-1, 2, layer.numel()).view_as(layer)).sum() for layer in outputs)
        gradients.append(torch.autograd.grad(weighted, inputs, materialize_grads=True))  # type: ignore[arg-type]
    for left, right in zip([*found, *gradients[0]], [*expected, *gradients[1]], strict=True):
        torch.testing.assert_close(left, right, rtol=1e-9, atol=1e-10)


@on_every_site
@pytest.mark.parametrize("name", VARIANTS)
def test_a_variant_is_its_formula_in_value_and_gradient(name: str, site: Callable[[], Site]) -> None:
    formula, place = formula_of(name), site()
    variants = [build(name, layer, formula.arguments) for layer in place.layers]
    scatter(variants)
    learned = [parameter for variant in variants for parameter in variant.parameters()]
    assert_same(place, fused(place, variants), looped(place, variants, formula), learned)


@on_every_site
@pytest.mark.parametrize("name", VARIANTS)
def test_neutral_arguments_are_the_baseline_in_value_and_gradient(name: str, site: Callable[[], Site]) -> None:
    neutral = registry.variant(name).neutral
    if neutral is None:
        pytest.skip(f"{name} has no neutral arguments")
    place = site()
    variants = [build(name, layer, neutral) for layer in place.layers]
    baseline = [Variant(layer) for layer in place.layers]
    assert_same(place, fused(place, variants), fused(place, baseline), [])


@pytest.mark.parametrize("name", VARIANTS)
def test_the_example_arguments_are_away_from_the_neutral_point(name: str) -> None:
    if name == "softmax":
        return
    place = SITES["full"]()
    variants = [build(name, layer, formula_of(name).arguments) for layer in place.layers]
    scatter(variants)
    baseline = [Variant(layer) for layer in place.layers]
    difference = fused(place, variants)[1] - fused(place, baseline)[1]
    assert difference.abs().max() > 0.01


def test_every_formula_belongs_to_a_variant() -> None:
    assert sorted(set(FORMULAS) - set(VARIANTS)) == []
