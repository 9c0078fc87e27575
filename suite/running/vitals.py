"""A job's vital signs, read from its events: phase, last completed step, and the limit it has overrun."""

import dataclasses
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jobs.contract import PHASES, read_events


@dataclasses.dataclass(frozen=True, kw_only=True)
class Overdue:
    """A limit that was overrun: its failure class and a sentence."""

    failure: str
    reason: str


@dataclasses.dataclass
class Vitals:
    """What the events said up to the last `refresh`. Only a phase or a completed step counts as a heartbeat.

    Times are of this process's clock and taken when an event is read: clocks of other machines play no part.
    """

    events: Path
    phase: str = PHASES[0]
    step: int = 0
    steps: int | None = None
    loss: float | None = None
    values: dict[str, float] = dataclasses.field(default_factory=dict)  # newest metrics
    preempted: bool = False  # the last thing it said was that it had written a checkpoint and would stop
    failed: dict[str, Any] | None = None  # the last thing it said was why it failed
    highest_step: int = 0  # completed in training
    first_beat: tuple[float, int] | None = None  # event time (Unix, s) and step where this phase's steps began
    last_beat: tuple[float, int] | None = None
    _offset: int = 0
    _phase_since: float = dataclasses.field(default_factory=time.monotonic)
    _beat_since: float = dataclasses.field(default_factory=time.monotonic)

    def refresh(self) -> None:
        """Take in the events written since the last call."""
        for offset, event in read_events(self.events, self._offset):
            self._offset = offset
            self.preempted = event.get("kind") == "preempted"
            self.failed = event if event.get("kind") == "failed" else None
            self._take(event)

    def overdue(self, limits_s: Mapping[str, float]) -> Overdue | None:
        """The limit that has been overrun, if any; `limits_s` per phase and `heartbeat`, in seconds."""
        now = time.monotonic()
        phase_s, silent_s = now - self._phase_since, now - self._beat_since
        if phase_s > limits_s[self.phase]:
            return Overdue(
                failure="timeout",
                reason=f"Phase {self.phase!r} took longer than its limit of {limits_s[self.phase]:g} s.",
            )
        if silent_s > limits_s["heartbeat"]:
            return Overdue(
                failure="hang",
                reason=f"No step was completed for {limits_s['heartbeat']:g} s in phase {self.phase!r},"
                f" after step {self.step}.",
            )
        return None

    def eta_s(self) -> float | None:
        """Seconds until the phase's last step, at the pace of this attempt so far."""
        if self.steps is None or self.first_beat is None or self.last_beat is None:
            return None
        (begin, first), (end, last) = self.first_beat, self.last_beat
        return (end - begin) / (last - first) * max(self.steps - last, 0) if last > first else None

    def _take(self, event: Mapping[str, Any]) -> None:
        match event.get("kind"):
            case "phase" if event.get("phase") in PHASES:
                self._enter(event["phase"])
            case "step":
                self._beat(event)
            case "metrics":
                self.values = event.get("values", {})
            case "resumed":
                self.step = event.get("step", self.step)

    def _enter(self, phase: str) -> None:
        self.phase, self.first_beat, self.last_beat = phase, None, None
        self._phase_since = self._beat_since = time.monotonic()

    def _beat(self, event: Mapping[str, Any]) -> None:
        self._beat_since = time.monotonic()
        if event.get("phase", self.phase) != self.phase:
            return  # a validation in the middle of training
        self.step, self.steps = event.get("step", self.step), event.get("steps")
        self.loss = event.get("loss", self.loss)
        self.last_beat = (event.get("time", 0.0), self.step)
        self.first_beat = self.first_beat or self.last_beat
        if self.phase == "train":
            self.highest_step = max(self.highest_step, self.step)
