"""A watcher that remembers what it was shown."""

from collections.abc import Sequence

from suite.running.state import JobState


class Remembers:
    """Every distinct state of every job, and every note, in order."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str]] = []
        self.notes: list[str] = []
        self.last: Sequence[JobState] = ()

    def show(self, states: Sequence[JobState]) -> None:
        self.last = states
        self.seen += [pair for state in states if (pair := (state.id, state.state)) not in self.seen]

    def note(self, sentence: str) -> None:
        self.notes.append(sentence)

    def close(self) -> None:
        pass
