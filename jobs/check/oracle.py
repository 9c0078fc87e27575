"""A variant against its looped formula: everything its hooks return in two layers, and the gradients.

Both sides are lists of tensors in the same order: for each layer the branch, what `enter`, `feed` and `leave` return,
and the penalty.
"""

import dataclasses
import importlib
import importlib.util
import inspect
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from jobs.api import Variant
from jobs.check.loops import Sample, spread
from jobs.check.sites import Site
from jobs.errors import VariantError

PARTS = ("branch", "result of enter", "result of feed", "result of leave", "penalty")
"""What is compared in each layer, in order."""
HOOKS = ("head", "heads", "refine", "enter", "feed", "leave", "penalty")


@dataclasses.dataclass(frozen=True)
class Formula:
    """The functions of a formula's module, by hook."""

    hooks: Mapping[str, Callable[..., Tensor]]
    arguments: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    training: bool = False


def of_builtin(name: str) -> Formula | None:
    """The formula of a variant that is part of the project; None if it has none."""
    try:
        return _of_module(importlib.import_module(f"jobs.check.formulas.{name}"))
    except ModuleNotFoundError as error:
        if error.name != f"jobs.check.formulas.{name}":
            raise
        return None


def of_file(path: Path) -> Formula | None:
    """The formula in `<stem>_formula.py` beside a variant's file; None if there is none.

    Raises:
        VariantError: it cannot be imported.
    """
    beside = path.with_name(f"{path.stem}_formula.py")
    if not beside.is_file():
        return None
    spec = importlib.util.spec_from_file_location(f"unsmooth_outside_{beside.stem}", beside)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # whatever a contributor's file does when imported
        raise VariantError(f"{beside.name}: {type(error).__name__}: {error}") from error
    return _of_module(module)


def _of_module(module: ModuleType) -> Formula:
    hooks = {name: getattr(module, name) for name in HOOKS if hasattr(module, name)}
    return Formula(hooks, dict(getattr(module, "ARGUMENTS", {})), getattr(module, "TRAINING", False))


def fused(site: Site, variants: Sequence[Variant]) -> list[Tensor]:
    """What the variants return."""
    memory: dict[str, Tensor] = {}
    found = []
    for layer, variant in enumerate(variants):
        x, y = site.x[layer], site.y[layer]
        found.append(variant(site.operator(x, memory), site.values[layer], site.project))
        found += [variant.enter(x), variant.feed(y), variant.leave(y, x, memory), variant.penalty(y)]
    return found


def looped(site: Site, variants: Sequence[Variant], formula: Formula) -> list[Tensor]:
    """What the formula gives."""
    found = []
    for layer, variant in enumerate(variants):
        given = dict(formula.arguments) | _state(variant)
        batched = site.x[layer].ndim == 4
        samples = [site.sample(b, layer) for b in range(len(site.x[layer]) if batched else 1)]
        for hook in (_branch, _enter, _feed, _leave):
            outputs = torch.stack([hook(formula, sample, given, site.projection) for sample in samples])
            found.append(outputs[:, None] if batched else outputs)
        penalties = [_call(formula, "penalty", (s.ys[-1], s), given, torch.zeros((), dtype=s.v.dtype)) for s in samples]
        found.append(torch.stack(penalties).mean())
    return found


def gradients(outputs: Sequence[Tensor], inputs: Sequence[Tensor]) -> list[Tensor]:
    """Of a weighted sum of the outputs, weighed differently entry by entry, with respect to `inputs`."""
    total = torch.zeros((), dtype=torch.float64)
    for number, output in enumerate(outputs, start=1):
        weights = torch.linspace(-1, 2, output.numel(), dtype=output.dtype).view_as(output) + 0.1 * number
        total = total + (output * weights).sum()
    return list(torch.autograd.grad(total, list(inputs), materialize_grads=True))


def _state(variant: Variant) -> dict[str, Any]:
    named = [*variant.named_parameters(), *variant.named_buffers()]
    return {name.replace(".", "_"): tensor for name, tensor in named}


def _branch(formula: Formula, s: Sample, given: Mapping[str, Any], projection: Tensor) -> Tensor:
    if "heads" in formula.hooks:
        mixed = _call(formula, "heads", (s,), given)
    else:
        per_head = [_of_head(given, h, len(s.v)) for h in range(len(s.v))]
        plain = [spread(s.a[h], s.v[h]) for h in range(len(s.v))]
        mixed = torch.stack([_call(formula, "head", (s.head(h),), per_head[h], plain[h]) for h in range(len(s.v))])
    y = torch.cat(list(mixed), -1) @ projection
    return _call(formula, "refine", (y, s), given, y)


def _enter(formula: Formula, s: Sample, given: Mapping[str, Any], projection: Tensor) -> Tensor:
    return _call(formula, "enter", (s.x, s), given, s.x)


def _feed(formula: Formula, s: Sample, given: Mapping[str, Any], projection: Tensor) -> Tensor:
    return _call(formula, "feed", (s.ys[-1], s), given, s.ys[-1])


def _leave(formula: Formula, s: Sample, given: Mapping[str, Any], projection: Tensor) -> Tensor:
    return _call(formula, "leave", (s.ys[-1], s), given, s.ys[-1])


def _of_head(given: Mapping[str, Any], head: int, heads: int) -> dict[str, Any]:
    """The entries of one head, where there is one for each."""
    return {
        name: value[head] if isinstance(value, Tensor) and value.ndim and len(value) == heads else value
        for name, value in given.items()
    }


def _call(
    formula: Formula, hook: str, values: tuple[Any, ...], given: Mapping[str, Any], otherwise: Tensor | None = None
) -> Tensor:
    function = formula.hooks.get(hook)
    if function is None:
        assert otherwise is not None
        return otherwise
    names = _named(hook, function)
    if missing := sorted(names - given.keys()):
        raise VariantError(
            f"The formula's {hook} asks for {missing[0]!r}; the variant has {', '.join(sorted(given)) or 'nothing'}."
        )
    return function(*values, **{name: given[name] for name in names})


def _named(hook: str, function: Callable[..., Tensor]) -> set[str]:
    """The parameters of a formula's function behind those that every such function has."""
    return set(list(inspect.signature(function).parameters)[1 if hook in ("head", "heads") else 2 :])
