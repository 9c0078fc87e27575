"""Writes checkpoints beside training: a snapshot is taken at once, serialised and flushed by a thread.

At most one is being written; the next waits for it, so that a kill costs the steps since the one before the last due.
"""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Self

from torch import Tensor

from jobs.errors import Preempted


class Writer:
    """One thread; an error of its own comes up at the next call."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="checkpoint")
        self._last: Future[None] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        """Let what is being written be finished, whatever ended the block."""
        if error is None or isinstance(error, Preempted):
            self.wait()
        else:
            self._pool.shutdown()

    def submit(self, write: Callable[[], None]) -> None:
        """Run `write` in the background, after what is being written now."""
        self.wait()
        self._last = self._pool.submit(write)

    def wait(self) -> None:
        """Return when nothing is being written.

        Raises:
            OSError: the last write failed, such as on a full disk.
        """
        last, self._last = self._last, None
        if last is not None:
            last.result()


def snapshot(document: Any, seen: dict[Any, Tensor] | None = None) -> Any:
    """A copy of nested dictionaries and lists whose tensors are on the CPU and no longer change; ties stay ties.

    >>> import torch
    >>> live = torch.zeros(1)
    >>> copy = snapshot({"a": live, "b": [live]})
    >>> _ = live.add_(1)
    >>> copy["a"].item(), copy["a"] is copy["b"][0]
    (0.0, True)
    """
    seen = {} if seen is None else seen
    if isinstance(document, Tensor):
        place = (document.untyped_storage().data_ptr(), document.storage_offset(), document.shape, document.stride())
        if place not in seen:
            seen[place] = document.detach().to("cpu", copy=True)
        return seen[place]
    if isinstance(document, dict):
        return {key: snapshot(value, seen) for key, value in document.items()}
    if isinstance(document, list | tuple):
        return type(document)(snapshot(value, seen) for value in document)
    return document
