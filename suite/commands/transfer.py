"""How a download is shown: a bar in a terminal, a line at its begin elsewhere."""

import contextlib
import sys
from collections.abc import Iterator

from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.progress import TransferSpeedColumn as SpeedColumn

from suite.commands import output
from suite.data.download import Meter


class Bar:
    """One bar for the file that arrives."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task: TaskID | None = None

    def start(self, name: str, have: int, total: int | None) -> None:
        if self._task is not None:
            self._progress.remove_task(self._task)
        self._task = self._progress.add_task(name, completed=have, total=total)

    def advance(self, count: int) -> None:
        if self._task is not None:
            self._progress.advance(self._task, count)


class Lines:
    """For logs and pipes."""

    def start(self, name: str, have: int, total: int | None) -> None:
        size = f"{total:,} bytes" if total is not None else "of unknown size"
        output.say(f"Downloading {name}, {size}{f', of which {have:,} are there' if have else ''}")

    def advance(self, count: int) -> None:
        """Nothing."""


@contextlib.contextmanager
def meter() -> Iterator[Meter]:
    """Whatever suits standard output."""
    if not sys.stdout.isatty():
        yield Lines()
        return
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), SpeedColumn(), TimeRemainingColumn())
    with Progress(*columns) as progress:
        yield Bar(progress)
