"""What one attempt at a job works with, and how far it has come."""

import dataclasses
import time

from jobs.contract import JobFolder, JobSpec, Launch
from jobs.training.energy import Meter
from jobs.training.events import Events
from jobs.training.processes import Processes
from jobs.training.stop import Stop


@dataclasses.dataclass(frozen=True)
class Run:
    """What one attempt works with."""

    spec: JobSpec
    launch: Launch
    folder: JobFolder
    events: Events
    processes: Processes
    stop: Stop
    meter: Meter
    began: float = dataclasses.field(default_factory=time.monotonic)


@dataclasses.dataclass
class Progress:
    """What a checkpoint carries beside weights, optimizer and random streams."""

    step: int = 0  # steps completed
    finished: bool = False
    train_s: float = 0.0
    wall_s: float = 0.0  # of all attempts, up to the checkpoint
    energy_j: float = 0.0  # likewise, of all processes
    best_step: int | None = None
    best_value: float | None = None
    stale: int = 0  # validations since the best one
    curve: list[dict[str, float]] = dataclasses.field(default_factory=list)  # one entry per validation
