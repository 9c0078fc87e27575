"""What a variant computes: its formula, and what its neutral arguments give."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from jobs.api import Variant
from jobs.check import oracle
from jobs.check.subject import EXACT, Failed, NotApplicable, Subject, distance, scatter


def formula(subject: Subject) -> str:
    """Value and gradient are those of the looped formula, away from the neutral point, at every kind of operator."""
    written = subject.formula
    if written is None:
        raise NotApplicable(f"there is no {subject.formula_file}; write the formula there as plain loops")
    worst = moved = 0.0
    for name, site in subject.sites().items():
        variants = [subject.build(layer, written.arguments).train(written.training) for layer in site.layers]
        scatter(variants)
        found = _seeded(oracle.fused, site, variants)
        expected = _seeded(oracle.looped, site, variants, written)
        inputs = [*site.inputs, *(parameter for variant in variants for parameter in variant.parameters())]
        worst = max(worst, _expect_same(name, found, expected, inputs, than=subject.formula_file))
        moved = max(moved, distance(found, oracle.fused(site, [Variant(layer) for layer in site.layers])))
    if moved < 0.01 and subject.cls.neutral != {}:
        raise Failed(f"with {dict(written.arguments)} it is the baseline; choose ARGUMENTS away from the neutral point")
    return f"largest difference {worst:.0e}"


def neutral(subject: Subject) -> str:
    """With its neutral arguments the variant is the baseline, in value and gradient."""
    arguments = subject.cls.neutral
    if arguments is None:
        raise NotApplicable("it declares no neutral arguments")
    worst = 0.0
    for name, site in subject.sites().items():
        found = oracle.fused(site, subject.pair(site, arguments))
        expected = oracle.fused(site, [Variant(layer) for layer in site.layers])
        worst = max(worst, _expect_same(name, found, expected, site.inputs, than="the baseline"))
    return f"largest difference {worst:.0e}"


def _expect_same(
    site: str, found: Sequence[Tensor], expected: Sequence[Tensor], inputs: Sequence[Tensor], *, than: str
) -> float:
    """The largest difference of values and gradients.

    Raises:
        Failed: it is more than rounding.
    """
    for number, (left, right) in enumerate(zip(found, expected, strict=True)):
        if (off := distance([left], [right])) > EXACT:
            layer, part = divmod(number, len(oracle.PARTS))
            raise Failed(f"{site}: the {oracle.PARTS[part]} of layer {layer} differs from {than} by {off:.2g}")
    gradients = oracle.gradients(found, inputs), oracle.gradients(expected, inputs)
    if (off := distance(*gradients)) > EXACT:
        raise Failed(f"{site}: the gradient differs from that of {than} by {off:.2g}")
    return max(distance(found, expected), distance(*gradients))


def _seeded(compute: Callable[..., list[Tensor]], *arguments: Any) -> list[Tensor]:
    """Both sides draw the same random numbers, where they draw any."""
    torch.manual_seed(0)
    return compute(*arguments)
