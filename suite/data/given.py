"""What the user has already: archives, single files, or a whole folder, anywhere on this machine."""

from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

from suite.data.sets import DataSet, Published
from suite.errors import UsageError


def check(paths: Sequence[Path]) -> None:
    """Raises UsageError for those that do not exist."""
    missing = [path for path in paths if not path.exists()]
    if missing:
        raise UsageError(f"--from {path}: no such file or folder." for path in missing)


def file(paths: Sequence[Path], wanted: Published, dataset: DataSet) -> Path | None:
    """Where `wanted` is among `paths`: by its name, or as the only file where only one is needed.

    Folders are not searched: data sets have files of the same name.
    """
    for path in paths:
        if path.is_file():
            if path.name == wanted.name or len(dataset.downloads) == len(paths) == 1:
                return path
            continue
        for place in _places(wanted, dataset):
            if (path / place).is_file():
                return path / place
    return None


def folder(paths: Sequence[Path], dataset: DataSet) -> Path | None:
    """A folder that holds the data set unpacked, or the folder of its name in there."""
    needed = {path.split("/")[0] for path in (*dataset.expected, *dataset.folders)}
    for path in paths:
        for place in ("", *_endings(dataset.place)):
            if path.is_dir() and all((path / place / name).exists() for name in needed) and needed != {"."}:
                return path / place
    return None


def _places(wanted: Published, dataset: DataSet) -> Iterator[str]:
    """Below a folder that was given: by its name alone, or as it lies below the data root, from any folder on."""
    yield wanted.name
    for single in dataset.singles:
        if single.file.name == wanted.name:
            for place in single.places:
                yield from _endings(f"{dataset.place}/{place}")


def _endings(path: str) -> Iterator[str]:
    """`a/b/c`, `b/c`, `c`."""
    parts = PurePosixPath(path).parts
    return ("/".join(parts[start:]) for start in range(len(parts)))
