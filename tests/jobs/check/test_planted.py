"""Bugs planted in variants, each caught by the check that is meant for it, and by its own name."""

import dataclasses
import random
from collections.abc import Callable

import numpy
import pytest
import torch
from torch import Tensor, nn

from jobs.api import Layer, Smoothing, Variant
from jobs.check import catalogue, oracle
from jobs.check.checks import building, machinery, meaning, numerics, sight
from jobs.check.loops import Head, Sample, spread
from jobs.check.subject import Check, Failed, Subject
from jobs.variants.softmax import Softmax


def neutreno(h: Head) -> Tensor:
    return spread(h.a, h.v) + 0.5 * (h.v0 - h.v)


def centered(h: Head) -> Tensor:
    return spread(h.a, h.v) - spread(h.j, h.v)


def bands(y: Tensor, sample: Sample, *, s: Tensor) -> Tensor:
    return y + s * (y - spread(sample.mean, y))


class SignFlipped(Variant):
    keeps = ("v0",)

    def mix(self, a: Smoothing, v: Tensor) -> Tensor:
        return a(v) + 0.5 * (v - a.memory.setdefault("v0", v))


class BandAddedTwice(Variant):
    def __init__(self, layer: Layer) -> None:
        super().__init__(layer)
        self.s = nn.Parameter(torch.zeros(layer.width))

    def refine(self, y: Tensor, a: Smoothing) -> Tensor:
        high = self.s * (y - a.mean(y))
        return y + high + high


class WrongLayer(Variant):
    """Starts one layer late."""

    keeps = ("v0",)

    def mix(self, a: Smoothing, v: Tensor) -> Tensor:
        if self.layer.index <= 1:
            a.memory["v0"] = v
        return a(v) + 0.5 * (a.memory["v0"] - v)


class Detached(Variant):
    keeps = ("v0",)

    def mix(self, a: Smoothing, v: Tensor) -> Tensor:
        return a(v) + 0.5 * (a.memory.setdefault("v0", v).detach() - v)


class AlmostNeutral(Variant):
    neutral = {"lam": 0.0}

    def __init__(self, layer: Layer, *, lam: float = 0.5) -> None:
        super().__init__(layer)
        self.lam = lam

    def mix(self, a: Smoothing, v: Tensor) -> Tensor:
        return a(v) - (self.lam + 1e-3) * v


class FullMean(Variant):
    def mix(self, a: Smoothing, v: Tensor) -> Tensor:
        return a(v) - v.mean(-2, keepdim=True)


class DetachedFullMean(Variant):
    def mix(self, a: Smoothing, v: Tensor) -> Tensor:
        return a(v) - v.mean(-2, keepdim=True).detach()


class ClassTokenForgotten(Variant):
    def mix(self, a: Smoothing, v: Tensor) -> Tensor:
        return a(v) - v[..., 1:, :].mean(-2, keepdim=True)


class FirstBatch(Variant):
    """Keeps what it saw first, for ever."""

    first: Tensor | None = None

    def mix(self, a: Smoothing, v: Tensor) -> Tensor:
        if self.first is None:
            self.first = v.detach()
        return a(v) + 0.1 * self.first.mean()


class MeanOverTheBatch(Variant):
    def mix(self, a: Smoothing, v: Tensor) -> Tensor:
        return a(v) - (v.mean(0, keepdim=True) if v.ndim == 4 else 0)


class InPlace(Variant):
    def mix(self, a: Smoothing, v: Tensor) -> Tensor:
        with torch.no_grad():
            v -= a.consensus(v)
        return a(v)


class DrawsInPython(Variant):
    def __init__(self, layer: Layer) -> None:
        super().__init__(layer)
        self.share = random.random()


class DrawsInNumPy(Variant):
    def __init__(self, layer: Layer) -> None:
        super().__init__(layer)
        self.share = float(numpy.random.rand())


class NoiseInEvaluation(Variant):
    def mix(self, a: Smoothing, v: Tensor) -> Tensor:
        return a(v) + 0.01 * torch.randn_like(v)


class Idle(Variant):
    """Has a parameter that it never uses."""

    def __init__(self, layer: Layer) -> None:
        super().__init__(layer)
        self.w = nn.Parameter(torch.zeros(1))


class BrokenRoot(Variant):
    """The root's slope at zero is infinite."""

    def __init__(self, layer: Layer) -> None:
        super().__init__(layer)
        self.w = nn.Parameter(torch.zeros(1))

    def mix(self, a: Smoothing, v: Tensor) -> Tensor:
        return a(v) * (1 + self.w.abs().sqrt())


class Cancels(Variant):
    """The difference of two large numbers, after both were rounded."""

    def mix(self, a: Smoothing, v: Tensor) -> Tensor:
        return a(v) - a.consensus(v)


class Counts(Variant):
    """State that neither a copy's file nor a recomputation knows of."""

    calls = 0

    def mix(self, a: Smoothing, v: Tensor) -> Tensor:
        self.calls += 1
        return a(v) * (1 + 0.1 * self.calls)


@dataclasses.dataclass(frozen=True)
class Planted:
    variant: type[Variant]
    check: Check
    says: str
    formula: Callable[..., Tensor] | None = None

    def subject(self) -> Subject:
        hook = "refine" if self.formula is bands else "head"
        written = oracle.Formula({hook: self.formula}) if self.formula else None
        return Subject(self.variant.__name__.lower(), self.variant, written, "formula.py")


BUGS = (
    Planted(SignFlipped, meaning.formula, "the branch of layer 1 differs", neutreno),
    Planted(BandAddedTwice, meaning.formula, "the branch of layer 0 differs", bands),
    Planted(WrongLayer, meaning.formula, "the branch of layer 1 differs", neutreno),
    Planted(Detached, meaning.formula, "the gradient differs", neutreno),
    Planted(FullMean, meaning.formula, "causal attention: the branch", centered),
    Planted(AlmostNeutral, meaning.neutral, "differs from the baseline by 0.0"),
    Planted(FullMean, sight.future, "gradient"),
    Planted(DetachedFullMean, sight.future, "perturbation"),
    Planted(FullMean, sight.padding, "padding changes the tokens before it"),
    Planted(ClassTokenForgotten, sight.order, "tokens in another order"),
    Planted(FirstBatch, sight.batches, "what an earlier batch left"),
    Planted(MeanOverTheBatch, sight.samples, "sample 0 depends on sample 1"),
    Planted(InPlace, sight.operands, "in place"),
    Planted(DrawsInPython, building.draws, "building it moves the global random stream"),
    Planted(DrawsInNumPy, building.draws, "building it moves the global random stream"),
    Planted(NoiseInEvaluation, building.draws, "evaluating it draws random numbers"),
    Planted(Idle, building.trained, "w receives no gradient"),
    Planted(BrokenRoot, building.trained, "is not finite"),
    Planted(Cancels, numerics.bfloat16, "in bfloat16"),
    Planted(Counts, building.copies, "keep state in parameters or buffers"),
    Planted(Counts, machinery.recomputation, "changes the gradients"),
)


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: f"{bug.variant.__name__} by {bug.check.__name__}")
def test_a_planted_bug_is_caught_by_the_check_meant_for_it(bug: Planted) -> None:
    with pytest.raises(Failed, match=bug.says):
        bug.check(bug.subject())


@pytest.mark.parametrize("check", dict.fromkeys(bug.check for bug in BUGS), ids=lambda check: check.__name__)
def test_the_same_check_passes_the_baseline(check: Check) -> None:
    assert check(Subject("softmax", Softmax, oracle.Formula({}), "formula.py"))


def test_every_check_but_the_report_of_costs_and_the_jobs_is_tried_with_a_bug() -> None:
    tried = {bug.check for bug in BUGS}
    untried = {entry.name for entry in catalogue.CHECKS if entry.check not in tried}
    assert untried == {
        "fused and dense", "autocast", "compiler", "two processes", "classification", "graph", "language",
        "segmentation", "cost",
    }  # fmt: skip
