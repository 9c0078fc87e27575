"""What a fault is: it strikes something in the scene and, where it lasts, is mended later."""

import os
import signal

from tests.faults.scene import Scene


class Fault:
    """One fault, struck once."""

    name = ""
    lasts_s = 0.0  # until it is mended
    alone = False  # whether nothing else may last meanwhile

    def strike(self, scene: Scene) -> str | None:
        raise NotImplementedError

    def mend(self, scene: Scene) -> None:
        """Undo it; those that do not last need nothing."""


def kill(pid: int | None, number: signal.Signals = signal.SIGKILL) -> bool:
    """Send a signal; False if there is no such process any more."""
    try:
        if pid is None or pid <= 1:
            return False
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True
