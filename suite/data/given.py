"""What the user has already: archives, single files, or a whole folder, anywhere on this machine."""

import contextlib
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

from suite.data.sets import DataSet, Published
from suite.errors import UsageError


def refusal(error: OSError, path: Path | None = None) -> UsageError:
    """Why something that was given cannot be read; `path` where the error does not say what it is about."""
    return UsageError(f"--from {error.filename or path}: it cannot be read ({error.strerror or error}).")


@contextlib.contextmanager
def reading(path: Path | None = None) -> Iterator[None]:
    """Raises UsageError for whatever cannot be read in the block."""
    try:
        yield
    except OSError as error:
        raise refusal(error, path) from error


def copy(source: Path, target: Path) -> None:
    """Raises UsageError where `source` cannot be read, OSError where `target` cannot be written."""
    with reading(source):
        source.open("rb").close()
    shutil.copyfile(source, target)


@reading()
def check(paths: Sequence[Path]) -> None:
    """Raises UsageError for those that do not exist."""
    missing = [path for path in paths if not path.exists()]
    if missing:
        raise UsageError(f"--from {path}: no such file or folder." for path in missing)


@reading()
def file(paths: Sequence[Path], wanted: Published, dataset: DataSet) -> Path | None:
    """Where `wanted` is among `paths`: by its name, or as the only file where only one is needed."""
    found = _named(paths, wanted, dataset)
    alone = len(dataset.downloads) == len(paths) == 1 and paths[0].is_file()
    return paths[0] if found is None and alone else found


@reading()
def folder(paths: Sequence[Path], dataset: DataSet) -> Path | None:
    """A folder that holds the data set unpacked, or the folder of its name in there.

    None for a data set of nothing but files at its top: who knows what else lies beside them; see `unpacked`.
    """
    needed = {path.split("/")[0] for path in (*dataset.expected, *dataset.folders)}
    if needed == set(dataset.expected):
        return None
    for path in paths:
        for place in ("", *_endings(dataset.place)):
            if path.is_dir() and all((path / place / name).exists() for name in needed) and needed != {"."}:
                return path / place
    return None


@reading()
def unpacked(paths: Sequence[Path], dataset: DataSet) -> dict[str, Path] | None:
    """The files that the archives hold, by their place below the data set's folder; None where no such file is given.

    Raises:
        UsageError: only some of them are given, and not the archive.
    """
    if dataset.folders or any(_named(paths, archive.file, dataset) for archive in dataset.archives):
        return None
    found = {single: _named(paths, single.file, dataset) for single in dataset.singles}
    missing = [single.file.name for single, path in found.items() if path is None]
    if len(missing) == len(found):
        return None
    if missing:
        raise UsageError(
            f"--from holds a part of {dataset.name}, but not {', '.join(missing)}. Give all of its files or its archive"
            " with --from."
        )
    return {place: path for single, path in found.items() if path is not None for place in single.places}


def _named(paths: Sequence[Path], wanted: Published, dataset: DataSet) -> Path | None:
    """By its name. Folders are not searched: data sets have files of the same name."""
    for path in paths:
        if path.is_file():
            if path.name == wanted.name:
                return path
            continue
        for place in _places(wanted, dataset):
            if (path / place).is_file():
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
