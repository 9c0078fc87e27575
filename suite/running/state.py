"""How a job stands, as people are told: read from its folder, so that it is the same for progress and status."""

import dataclasses
from collections.abc import Sequence
from typing import Protocol

from jobs.contract import ContractError, JobFolder, Result
from suite.running.vitals import Vitals

FINAL = ("ok", "skipped", "failed", "blocked")


@dataclasses.dataclass(frozen=True, kw_only=True)
class JobState:
    """One job at one moment."""

    id: str
    name: str
    state: str = "waiting"  # waiting, running, interrupted, or a result's status: ok, skipped, failed, blocked
    phase: str | None = None
    step: int = 0
    steps: int | None = None
    metric: str | None = None  # as shown: "accuracy 83.3 %", or "loss 1.23" while it trains
    eta_s: float | None = None  # until the last step of the phase
    failure: str | None = None
    reason: str | None = None
    attempts: int = 0


class Watcher(Protocol):
    """Whoever shows a run while it goes on."""

    def show(self, states: Sequence[JobState]) -> None:
        """Called about twice a second with the state of every job, in the plan's order."""

    def note(self, sentence: str) -> None:
        """Something that happened to the run as a whole: Ray was restarted, a stop was asked for."""

    def close(self) -> None:
        """The run is over."""


def finished(folder: JobFolder) -> Result | None:
    """The published result, or None where there is none that can be read."""
    try:
        return Result.load(folder.result)
    except ContractError:
        return None


def of_result(result: Result, *, name: str) -> JobState:
    """The state of a job that has ended, or was interrupted."""
    return JobState(
        id=result.id,
        name=name,
        state="interrupted" if result.failure == "preempted" else result.status,
        step=int(result.numbers.get("steps_done", 0)),
        steps=result.numbers.get("steps_done"),
        metric=headline(result),
        failure=result.failure,
        reason=result.reason,
        attempts=result.attempt,
    )


def of_vitals(vitals: Vitals, *, id: str, name: str, state: str, attempts: int) -> JobState:
    """The state of a job that has begun and not ended."""
    return JobState(
        id=id,
        name=name,
        state=state,
        phase=vitals.phase,
        step=vitals.step,
        steps=vitals.steps,
        metric=None if vitals.loss is None else f"loss {vitals.loss:.3g}",
        eta_s=vitals.eta_s() if vitals.phase == "train" else None,
        attempts=attempts,
    )


def headline(result: Result) -> str | None:
    """The result's primary metric with its unit, `accuracy 83.3 %`; None where it has none."""
    name = result.numbers.get("primary")
    metric = result.numbers.get("metrics", {}).get(name)
    return None if metric is None else f"{name} {metric['value']:.4g} {metric.get('unit', '')}".rstrip()
