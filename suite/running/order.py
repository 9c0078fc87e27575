"""What the driver tells a supervisor about one job: plain values, small enough to send anywhere."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from jobs.contract import JobSpec

LIMITS_S: Mapping[str, float] = {
    "start": 900.0,
    "build": 1800.0,
    "train": 7 * 86400.0,
    "evaluate": 86400.0,
    "heartbeat": 1800.0,
}
"""Seconds a job may spend in each phase, and without completing a step; plans set their own."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Order:
    """Run this spec, this way. Nothing in it but `spec` decides a number."""

    spec: JobSpec
    runtime: str = "local"
    nodes: int = 1
    processes: int = 1  # per node
    micro_batch: int | None = None
    workers: int = 0
    memory_bytes: int | None = None  # at most, of the whole job on a node; None: no limit
    data_root: str | None = None
    variant_file: str | None = None  # absolute path of the outside variant file
    limits_s: dict[str, float] = dataclasses.field(default_factory=dict)
    git: dict[str, Any] = dataclasses.field(default_factory=dict)
    checkpoint_s: float = 30.0
    retries: int = 2  # attempts that may be spent on failures of the job's own
    grace_s: float = 30.0  # between SIGTERM and SIGKILL
    pause_scale: float = 1.0  # multiplies the pauses before a retry
    poll_s: float = 0.5
    stop_file: str | None = None  # once it exists, the job is to stop: "drain" or "now"

    def to_dict(self) -> dict[str, Any]:
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Self:
        return cls(**{**document, "spec": JobSpec.from_dict(document["spec"], "order")})

    def limits(self) -> dict[str, float]:
        """Every limit in seconds, the plan's own where it gives one."""
        return {**LIMITS_S, **self.limits_s}

    def stop_asked(self) -> str | None:
        """`drain` (write a checkpoint first), `now`, or None while the job may go on."""
        if self.stop_file is None:
            return None
        try:
            return Path(self.stop_file).read_text(encoding="utf-8").strip() or "drain"
        except FileNotFoundError:
            return None
