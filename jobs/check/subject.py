"""The variant under examination, and how a check says what it found."""

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from jobs import registry
from jobs.api import Layer, Variant
from jobs.check import oracle
from jobs.check.sites import SITES, Site

EXACT = 1e-9
"""More than float64's rounding over a few hundred operations, less than any mistake."""


class Failed(Exception):
    """The check found what it looks for; the message says what and where."""


class NotApplicable(Exception):
    """The check has nothing to look at; the message says why."""


@dataclasses.dataclass(frozen=True)
class Subject:
    """A variant by name, its class, and its formula if there is one."""

    name: str
    cls: type[Variant]
    formula: oracle.Formula | None
    formula_file: str
    """Where its formula is, or would be."""
    file: Path | None = None
    """Where it is defined, unless it is built in or installed."""

    def build(self, layer: Layer, arguments: Mapping[str, Any] | None = None) -> Variant:
        """One instance in float64, drawn on a stream of its own."""
        made = registry.plug(self.cls, self.name, arguments or {}, seed=0)(layer)
        return made.double()

    def pair(self, site: Site, arguments: Mapping[str, Any] | None = None) -> list[Variant]:
        """Instances of both layers of a site, in evaluation mode."""
        return [self.build(layer, arguments).eval() for layer in site.layers]

    def sites(self, *, among: Iterable[str] = tuple(SITES)) -> dict[str, Site]:
        """The sites to which the variant applies.

        Raises:
            NotApplicable: it applies to none of them.
        """
        made = {name: SITES[name]() for name in among}
        reasons = {name: self.cls.skip(site.layers[0]) for name, site in made.items()}
        found = {name: site for name, site in made.items() if reasons[name] is None}
        if not found:
            raise NotApplicable(next(reason for reason in reasons.values() if reason))
        return found


def of_name(name: str) -> Subject:
    """A built-in or installed variant.

    Raises:
        VariantError: there is none of that name, or its file is broken.
    """
    return Subject(name, registry.variant(name), oracle.of_builtin(name), f"jobs/check/formulas/{name}.py")


def of_file(path: Path) -> Subject:
    """A variant in a file of its own.

    Raises:
        VariantError: the file, or the formula beside it, is missing or broken.
    """
    cls = registry.variant_from_file(path)
    return Subject(path.stem, cls, oracle.of_file(path), f"{path.stem}_formula.py", path)


def scatter(variants: Sequence[Variant]) -> None:
    """Give every learned parameter and buffer its own value, far from where it starts."""
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for variant in variants:
            for parameter in variant.parameters():
                parameter.add_(torch.randn(parameter.shape, dtype=parameter.dtype, generator=generator))
            for buffer in variant.buffers():
                if buffer.is_floating_point():  # variances among them stay positive
                    buffer.add_(torch.rand(buffer.shape, dtype=buffer.dtype, generator=generator))


def distance(found: Sequence[Tensor], expected: Sequence[Tensor]) -> float:
    """The largest difference, relative to 1 or to the size of the entry; infinite where one is not a number."""
    worst = 0.0
    for left, right in zip(found, expected, strict=True):
        relative = (left - right).abs() / right.abs().clamp(min=1.0)
        worst = max(worst, relative.nan_to_num(nan=torch.inf).max().item() if relative.numel() else 0.0)
    return worst


Check = Callable[[Subject], str]
"""Returns what it measured, in a few words.

Raises:
    Failed, NotApplicable: see there.
"""
