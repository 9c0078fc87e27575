"""Whether the files of a data set are still the same, told cheaply and without knowing what they mean.

A *stamp* is over names, sizes and times of change of all files: equal stamps mean the same files, at the price of
listing them. Copying gives files new times, so unequal stamps are decided by a *digest* over names, sizes and
contents: of all files up to 2 GiB, beyond that of a thousand files spread evenly over the list. What that may miss,
`unsmooth data verify --full` does not.
"""

import dataclasses
import functools
import hashlib
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Self

from jobs.contract import SCHEMA, file_sha256
from suite import cache

_WHOLE_BYTES = 2 * 2**30
_SPREAD = 1000
_MADE = ("processed", "SHA256SUMS")
"""What loaders and archives leave beside the data, and no loader reads."""


@dataclasses.dataclass(frozen=True)
class Listing:
    """The files below a folder, by path, each with its size and time of change [ns]."""

    folder: Path
    files: tuple[tuple[str, int, int], ...]

    @classmethod
    def of(cls, folder: Path, counts: Callable[[str], bool] = lambda path: True) -> Self | None:
        """Of the files whose path `counts`; None where there is no folder, or no such file in it."""
        try:
            files = tuple(sorted(file for file in _files(str(folder)) if counts(file[0])))
        except (FileNotFoundError, NotADirectoryError):
            return None
        return cls(folder, files) if files else None

    @property
    def bytes(self) -> int:
        return sum(size for _, size, _ in self.files)

    @functools.cached_property
    def stamp(self) -> str:
        return _digest(f"{path}\0{size}\0{time}" for path, size, time in self.files)

    @functools.cached_property
    def digest(self) -> str:
        """Computed once per stamp on this machine."""
        kept = cache.recall("data", self.stamp)
        if kept is not None and isinstance(kept.get("digest"), str):
            return str(kept["digest"])
        digest = self._read()
        cache.keep("data", self.stamp, {"schema": SCHEMA, "digest": digest})
        return digest

    def to_dict(self) -> dict[str, Any]:
        return {"stamp": self.stamp, "digest": self.digest, "files": len(self.files), "bytes": self.bytes}

    def same(self, recorded: Mapping[str, Any]) -> bool:
        """Whether these are the files of which `to_dict` was recorded."""
        return self.stamp == recorded.get("stamp") or self.digest == recorded.get("digest")

    def _read(self) -> str:
        count = len(self.files) if self.bytes <= _WHOLE_BYTES else min(_SPREAD, len(self.files))
        read = {index * len(self.files) // count for index in range(count)}
        return _digest(
            f"{path}\0{size}\0{file_sha256(self.folder / path) if index in read else ''}"
            for index, (path, size, _) in enumerate(self.files)
        )


def _files(folder: str, prefix: str = "") -> Iterator[tuple[str, int, int]]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if _ignored(entry.name):
                continue
            if entry.is_dir():
                yield from _files(entry.path, f"{prefix}{entry.name}/")
            else:
                found = entry.stat()
                yield prefix + entry.name, found.st_size, found.st_mtime_ns


def _ignored(name: str) -> bool:
    return name.startswith(".") or name in _MADE


def _digest(lines: Iterator[str]) -> str:
    whole = hashlib.sha256()
    for line in lines:
        whole.update(line.encode(errors="surrogateescape") + b"\n")
    return whole.hexdigest()
