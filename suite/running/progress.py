"""How a run is shown while it goes on: a live table in a terminal, one line per change elsewhere, or nothing."""

import sys
from collections import Counter
from collections.abc import Sequence
from typing import TextIO

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from suite.running.state import JobState, Watcher

_BAR_WIDTH = 20
_STYLES = {
    "running": "cyan",
    "ok": "green",
    "skipped": "dim",
    "failed": "bold red",
    "blocked": "magenta",
    "interrupted": "yellow",
    "waiting": "dim",
}
_ORDER = ("running", "interrupted", "failed", "blocked", "waiting", "ok", "skipped")
"""Which jobs are shown first when the terminal is too short for all of them."""


class Quiet:
    """Shows nothing: what a program reads follows at the end."""

    def show(self, states: Sequence[JobState]) -> None:
        """Nothing."""

    def note(self, sentence: str) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""


class Lines:
    """One line per change of state or phase, for logs and pipes."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._shown: dict[str, tuple[str, str | None]] = {}

    def show(self, states: Sequence[JobState]) -> None:
        """Print the jobs that are in another state or phase than at the last call; waiting ones come later."""
        for state in states:
            now = (state.state, state.phase)
            if state.state == "waiting" or self._shown.get(state.id) == now:
                continue
            self._shown[state.id] = now
            print(self._line(state, states), file=self._stream, flush=True)

    def note(self, sentence: str) -> None:
        """Print the sentence."""
        print(sentence, file=self._stream, flush=True)

    def close(self) -> None:
        """Nothing is open."""

    def _line(self, state: JobState, states: Sequence[JobState]) -> str:
        ended = sum(other.state not in ("waiting", "running") for other in states)
        what = f"{state.phase or 'start'}" if state.state == "running" else state.state
        return f"[{ended}/{len(states)}] {state.id} {state.name}: {what}{_detail(state)}"


class LiveTable:
    """A table that is drawn anew in place: jobs, phase, progress, metric, ETA."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._states: Sequence[JobState] = ()
        self._live = Live(console=console, refresh_per_second=4, transient=True, get_renderable=self._render)
        self._live.start()

    def show(self, states: Sequence[JobState]) -> None:
        """Take the new states; the screen follows a few times a second."""
        self._states = states

    def note(self, sentence: str) -> None:
        """Print the sentence above the table."""
        self._live.console.print(Text(sentence))

    def close(self) -> None:
        """Take the live table away and leave a last one, whole."""
        self._live.stop()
        if self._states:
            self._console.print(table(self._states))

    def _render(self) -> Table:
        return table(self._states, rows=max(self._console.height - 6, 3))


def choose(*, json: bool = False, stream: TextIO = sys.stderr) -> Watcher:
    """The watcher that suits `stream`; `json` wants nothing but JSON to be seen."""
    if json:
        return Quiet()
    return LiveTable(Console(file=stream)) if stream.isatty() else Lines(stream)


def table(states: Sequence[JobState], *, rows: int | None = None) -> Table:
    """All jobs in the plan's order, or the most interesting `rows` of them, under a count of states."""
    shown = list(states)
    if rows is not None and len(shown) > rows:
        kept = sorted(range(len(shown)), key=lambda at: _ORDER.index(shown[at].state))[:rows]
        shown = [shown[at] for at in sorted(kept)]
    result = Table(title=summary(states), title_justify="left", box=None, pad_edge=False)
    for column in ("job", "name", "state", "progress", "metric", "ETA"):
        result.add_column(column, no_wrap=column != "name", overflow="fold")
    for state in shown:
        result.add_row(*map(Text, _cells(state)), style=_STYLES.get(state.state))  # names hold [brackets]
    return result


def summary(states: Sequence[JobState]) -> str:
    """`24 jobs: 3 running, 20 ok, 1 failed`."""
    count = Counter(state.state for state in states)
    parts = ", ".join(f"{count[state]} {state}" for state in _ORDER if count[state])
    return f"{len(states)} jobs: {parts}" if states else "no jobs"


def duration(seconds: float) -> str:
    """Seconds as people say them.

    >>> duration(42), duration(150), duration(7800)
    ('42 s', '2 min 30 s', '2 h 10 min')
    >>> duration(1_000_000)
    '11 d 13 h'
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    if whole < 2 * 86400:
        return f"{whole // 3600} h {whole % 3600 // 60} min"
    return f"{whole // 86400} d {whole % 86400 // 3600} h"


def _cells(state: JobState) -> tuple[str, ...]:
    eta = "" if state.eta_s is None else duration(state.eta_s)
    metric = state.metric or state.failure or ""
    return (state.id, state.name, _what(state), _bar(state), metric, eta)


def _what(state: JobState) -> str:
    again = f" (attempt {state.attempts})" if state.attempts > 1 else ""
    return (state.phase or "start" if state.state == "running" else state.state) + again


def _bar(state: JobState) -> str:
    if not state.steps:
        return ""
    full = min(_BAR_WIDTH * state.step // state.steps, _BAR_WIDTH)
    return f"{'━' * full}{'─' * (_BAR_WIDTH - full)} {state.step}/{state.steps}"


def _detail(state: JobState) -> str:
    if state.state in ("failed", "blocked", "skipped"):
        kind = f" ({state.failure})" if state.failure else ""
        return f"{kind}: {state.reason}" if state.reason else kind
    steps = f", step {state.step} of {state.steps}" if state.steps and state.state != "ok" else ""
    return steps + (f", {state.metric}" if state.metric else "")
