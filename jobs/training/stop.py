"""Asking a job to stop: SIGTERM during training waits for the end of the step, elsewhere it takes effect at once."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from jobs.errors import Preempted


def leave_stopping_to_the_job(worker: int) -> None:
    """Make a data-loading process deaf to SIGTERM, which goes to the whole group; it ends with the job's process."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})


class Stop:
    """Whether this process was asked to stop."""

    def __init__(self) -> None:
        self.requested = False
        self._waits = False

    def install(self) -> None:
        """Listen for SIGTERM from now on."""
        signal.signal(signal.SIGTERM, self._receive)

    def ignore(self) -> None:
        """The work is done; what is left is writing it down."""
        signal.signal(signal.SIGTERM, signal.SIG_IGN)

    @contextmanager
    def at_step_end(self) -> Iterator[None]:
        """Inside the block a request only sets `requested`; the caller looks and saves its state."""
        self._waits = True
        try:
            yield
        finally:
            self._waits = False

    def _receive(self, number: int, frame: FrameType | None) -> None:
        self.requested = True
        if not self._waits:
            raise Preempted("Stopped outside training; the last checkpoint holds everything.")
