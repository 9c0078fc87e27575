"""Every check, in the order in which they are shown."""

import dataclasses
from collections.abc import Sequence

from jobs.check.checks import building, expense, machinery, meaning, numerics, sight, training
from jobs.check.subject import Check


@dataclasses.dataclass(frozen=True)
class Entry:
    """A check by name; `quick` ones take less than three seconds a variant together."""

    name: str
    check: Check
    quick: bool = False


CHECKS: Sequence[Entry] = (
    Entry("formula", meaning.formula, quick=True),
    Entry("neutral arguments", meaning.neutral, quick=True),
    Entry("future", sight.future, quick=True),
    Entry("padding", sight.padding, quick=True),
    Entry("other samples", sight.samples, quick=True),
    Entry("order of tokens", sight.order, quick=True),
    Entry("earlier batches", sight.batches, quick=True),
    Entry("operands in place", sight.operands, quick=True),
    Entry("fused and dense", numerics.parity, quick=True),
    Entry("bfloat16", numerics.bfloat16, quick=True),
    Entry("random numbers", building.draws, quick=True),
    Entry("gradients", building.trained, quick=True),
    Entry("copies", building.copies),
    Entry("autocast", numerics.autocast),
    Entry("recomputation", machinery.recomputation),
    Entry("compiler", machinery.compiled),
    Entry("two processes", training.processes),
    Entry("classification", training.classification),
    Entry("graph", training.graph),
    Entry("language", training.language),
    Entry("segmentation", training.segmentation),
    Entry("cost", expense.cost),
)
