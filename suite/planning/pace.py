"""What a job of one setting takes, in parts, so that it can be told for any number of steps.

A pace is read from the events of a probe (a few real steps of the setting) or guessed (`guesses`). The evaluations are
kept apart from the steps: a probe of ten steps says nothing about how long fifty thousand pictures take to test.
"""

import dataclasses
from collections.abc import Iterable, Mapping
from statistics import fmean, median
from typing import Any, Self

from jobs.contract import JobSpec, canonical

_EVERY = ("evaluate_every", "validate_every")
"""What tasks call their argument for the steps between two validations."""

_OWN = ("steps", "split")
"""Parts of a setting that do not change what a step takes."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Setup:
    """How each job is run, as far as it decides how long a step takes."""

    processes: int = 1  # on CPU
    gpus: int = 0
    workers: int = 0  # data-loading processes per process
    micro_batch: int | None = None
    hardware: str = ""  # of the machine, in words
    code: str = ""  # digest of what runs


@dataclasses.dataclass(frozen=True, kw_only=True)
class Pace:
    """Seconds of a job's parts, its size and its memory."""

    start_s: float  # until the first step: imports, data, the network, and what the first steps take beyond others
    step_s: float  # of one training step, loading its samples included
    validate_s: float = 0.0  # of one validation
    validate_every: float | None = None  # steps between two of them; None: none before the end
    finish_s: float | None = None  # after the last step, mostly testing; None: it did not come to its end
    parameters: float | None = None
    peak_bytes: float | None = None

    def seconds(self, steps: int) -> float:
        """A whole job of `steps` steps that does not stop early.

        >>> Pace(start_s=10, step_s=0.5, validate_s=2, validate_every=100, finish_s=30).seconds(1000)
        560.0
        """
        validations = int(steps / self.validate_every) if self.validate_every else 0
        return self.start_s + self.step_s * steps + self.validate_s * validations + (self.finish_s or 0.0)

    def completed(self, guessed: Self) -> Self:
        """With the testing that was not measured: the guess at it, as far off as the guess at a step was."""
        if self.finish_s is not None:
            return self
        off = self.step_s / guessed.step_s if guessed.step_s else 1.0
        return dataclasses.replace(self, finish_s=off * (guessed.finish_s or 0.0))


def place(spec: JobSpec) -> bytes:
    """What decides a pace beside the variant: the setting without its number of steps and its split."""
    return canonical({key: value for key, value in spec.setting().items() if key not in _OWN})


def variant(spec: JobSpec) -> bytes:
    """The variant, its arguments and, from outside the repository, its digest."""
    return canonical({"variant": [spec.variant, spec.variant_arguments, spec.variant_sha256]})


def validate_every(spec: JobSpec) -> int | None:
    """Steps between validations as the task's arguments have it; None where they have none, or not before the end."""
    return next((int(spec.arguments[name]) or None for name in _EVERY if name in spec.arguments), None)


def shortened(spec: JobSpec, steps: int) -> JobSpec:
    """The same job with a few steps, one validation after the last of them if it has any, and no upstream."""
    every = {name: steps for name in _EVERY if spec.arguments.get(name)}
    return dataclasses.replace(spec, steps=steps, arguments={**spec.arguments, **every}, upstream=None)


def read(events: Iterable[Mapping[str, Any]], *, began: float, ended: float | None, warm_up: int = 1) -> Pace | None:
    """The pace that a job's events tell; None if it completed no step.

    Args:
        events: as the contract describes them.
        began: Unix time at which its process was started [s].
        ended: Unix time at which it had ended well [s]; None if it did not.
        warm_up: first steps that are slower than the others, or faster: compilation, full queues of loaded samples.
    """
    line = _Line(began)
    for event in events:
        line.take(event)
    if not line.steps:
        return None
    warm_up = min(warm_up, len(line.steps) - 1)
    step_s = (median if warm_up <= 1 else fmean)(line.steps[warm_up:])
    return Pace(
        start_s=line.ready - began + max(0.0, sum(line.steps[:warm_up]) - warm_up * step_s),
        step_s=step_s,
        validate_s=median(line.validations) if line.validations else 0.0,
        validate_every=len(line.steps) / len(line.validations) if line.validations else None,
        finish_s=ended - line.mark if ended else None,
    )


class _Line:
    """A job's time line: each event ends what went on since the one before, but for those that come in between."""

    def __init__(self, began: float) -> None:
        self.mark = self.ready = began
        self.steps: list[float] = []
        self.validations: list[float] = []
        self._testing = False

    def take(self, event: Mapping[str, Any]) -> None:
        """The next event."""
        kind, time = event.get("kind"), float(event.get("time", self.mark))
        if self._testing or kind == "checkpoint" or (kind == "step" and event.get("phase") == "evaluate"):
            return  # written aside, or in the middle of an evaluation
        if kind == "phase" and event.get("phase") == "evaluate":
            self._testing = True
            return
        if kind == "phase" and event.get("phase") == "train":
            self.ready = time
        elif kind == "step":
            self.steps.append(time - self.mark)
        elif kind == "metrics" and _validates(event.get("values", {})):
            self.validations.append(time - self.mark)
        self.mark = time


def _validates(values: Mapping[str, Any]) -> bool:
    return any(name.startswith("val/") for name in values)
