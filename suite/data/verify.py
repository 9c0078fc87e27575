"""Hold what lies on disk against what was published: files by size and checksum, pictures and words by number."""

import dataclasses
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from suite.data import pictures, receipt
from suite.data.checksum import Checksum, sha256
from suite.data.receipt import Receipt
from suite.data.sets import DataSet, Published

_COUNTED_BYTES = 64 * 2**20
"""Words of a larger file are counted only in a full check: its checksum says the same."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class FileReport:
    """One file, as it should be and as it is."""

    path: str
    status: str  # ok, missing, unreadable, wrong size, wrong content, recorded (as at its first sight), unknown
    bytes: int | None = None
    expected_bytes: int | None = None
    check: str | None = None
    expected_check: str | None = None

    @property
    def good(self) -> bool:
        return self.status in ("ok", "recorded", "unknown")


@dataclasses.dataclass(kw_only=True)
class Report:
    """A data set, as it should be and as it is."""

    name: str
    place: Path
    full: bool
    files: list[FileReport] = dataclasses.field(default_factory=list)
    counts: dict[str, dict[str, int]] = dataclasses.field(default_factory=dict)  # by part or file
    problems: list[str] = dataclasses.field(default_factory=list)
    notes: list[str] = dataclasses.field(default_factory=list)
    tree: str | None = None  # checksum over all pictures, in a full check

    @property
    def ok(self) -> bool:
        return not self.problems

    def to_dict(self) -> dict[str, Any]:
        return {"ok": self.ok, **dataclasses.asdict(self), "place": str(self.place)}


def standing(dataset: DataSet, root: Path) -> str:
    """At a glance, without reading any file: `present`, `incomplete`, `absent`, or what `obstacle` says."""
    place = root / dataset.place
    if (found := obstacle(place)) is not None:
        return found
    try:
        files = [_as_large_as_published(place / path, file) for path, file in dataset.expected.items()]
        folders = [(place / folder).is_dir() and any((place / folder).iterdir()) for folder in dataset.folders]
        if all([*files, *folders]):
            return "present"
        return "incomplete" if place.is_dir() and any(place.iterdir()) else "absent"
    except OSError:
        return "unreadable"


def _as_large_as_published(at: Path, file: Published) -> bool:
    """Whether it is there and has the published size; raises OSError where it may not be read."""
    if not at.is_file():
        return False
    if not os.access(at, os.R_OK):
        raise PermissionError
    return file.bytes in (None, at.stat().st_size)


def obstacle(place: Path) -> str | None:
    """What is at `place` that is no folder to look into: `a file`, `a dead link`, `unreadable`; None: no such thing."""
    try:
        if place.is_dir():
            any(place.iterdir())
            return None
        return "a file" if place.exists() else "a dead link" if place.is_symlink() else None
    except OSError:
        return "unreadable"


def verify(dataset: DataSet, root: Path, *, full: bool = False) -> Report:
    """The report on `dataset` below the data root; `full` reads every picture too."""
    return verify_at(dataset, root / dataset.place, receipt.load(root, dataset.name), full=full)


def verify_at(dataset: DataSet, place: Path, recorded: Receipt, *, full: bool) -> Report:
    """The same of files that lie at `place`."""
    report = Report(name=dataset.name, place=place, full=full)
    if (found := obstacle(place)) is not None:
        report.problems.append(f"{place} cannot be used as a folder: it is {found}.")
        return report
    if not place.is_dir():
        report.problems.append(f"There is no folder {place}.")
        return report
    report.files = [_file(path, place / path, file, recorded) for path, file in dataset.expected.items()]
    report.problems += [_sentence(found) for found in report.files if not found.good]
    report.notes += _unrecorded(report)
    _count_words(report, dataset)
    _count_pictures(report, dataset)
    if full and dataset.folders:
        _look_into(report, dataset, recorded)
    report.notes += _extras(dataset, place)
    return report


def record(dataset: DataSet, root: Path, report: Report) -> Receipt:
    """The receipt with what this report saw for the first time; whoever calls saves it.

    Only what has no published checksum is recorded, and only where nothing is wrong.
    """
    recorded = receipt.load(root, dataset.name)
    if not report.ok:
        return recorded
    for found in report.files:
        if found.status == "unknown" and found.check:
            recorded = recorded.with_file(found.path, Checksum.of(found.check), "first sight")
    if report.tree and dataset.tree is None and recorded.whole is None:
        recorded = recorded.with_tree(Checksum.of(report.tree), "first full check")
    return recorded


def settle(report: Report) -> None:
    """Say of files seen for the first time that they are recorded now, without a second look at them."""
    report.notes = [note for note in report.notes if note not in _unrecorded(report)]
    report.files = [
        dataclasses.replace(found, status="recorded", expected_check=found.check)
        if found.status == "unknown"
        else found
        for found in report.files
    ]


def _unrecorded(report: Report) -> list[str]:
    unknown = [found.path for found in report.files if found.status == "unknown"]
    return [f"{len(unknown)} files have no published checksum and were not recorded by `prepare`."] if unknown else []


def _file(path: str, at: Path, file: Published, recorded: Receipt) -> FileReport:
    """How one file stands: against the published checksum, else against the recorded one."""
    expected = file.check or recorded.check(path)
    stated = str(expected) if expected else None
    report = FileReport(path=path, status="missing", expected_bytes=file.bytes, expected_check=stated)
    try:
        return _held_against(expected, report, at, file) if at.is_file() else report
    except OSError:
        return dataclasses.replace(report, status="unreadable")


def _held_against(expected: Checksum | None, report: FileReport, at: Path, file: Published) -> FileReport:
    at.open("rb").close()  # one that cannot be read is not worth any further word
    size = at.stat().st_size
    if file.bytes is not None and size != file.bytes:
        return dataclasses.replace(report, status="wrong size", bytes=size)
    found = expected.found(at) if expected else sha256(at)
    status = "ok" if file.check else "recorded"
    status = "unknown" if expected is None else status if found == expected else "wrong content"
    return dataclasses.replace(report, status=status, bytes=size, check=str(found))


def _sentence(found: FileReport) -> str:
    if found.status == "wrong size":
        return f"{found.path}: {found.bytes:,} bytes; the published file has {found.expected_bytes:,}."
    if found.status == "wrong content":
        return f"{found.path}: checksum {found.check}; expected {found.expected_check}."
    if found.status == "unreadable":
        return f"{found.path} cannot be read: it lacks permissions, or the disk is at fault."
    return f"{found.path} is missing."


def _count_words(report: Report, dataset: DataSet) -> None:
    sizes = {found.path: found.bytes for found in report.files}
    for path, expected in dataset.tokens.items():
        size = sizes.get(path)
        if size is None or (size > _COUNTED_BYTES and not report.full):
            continue
        words = _words(report.place / path)
        report.counts[path] = {"tokens": words, "expected_tokens": expected}
        if words != expected:
            report.problems.append(f"{path}: {words:,} tokens, one end per line counted; {expected:,} were published.")


def _words(path: Path) -> int:
    with path.open(encoding="utf-8", errors="replace") as file:  # lines and words as the jobs' reader sees them
        return sum(len(line.split()) + 1 for line in file)


def _count_pictures(report: Report, dataset: DataSet) -> None:
    for part, classes in dataset.classes.items():
        counted = pictures.count_classes(report.place / part)
        report.counts[part] = {
            "classes": len(counted.classes),
            "expected_classes": classes.classes,
            "pictures": counted.images,
            "expected_pictures": classes.images,
            "fewest_of_a_class": min(counted.classes.values(), default=0),
            "most_of_a_class": max(counted.classes.values(), default=0),
        }
        report.problems += pictures.problems_of_classes(part, counted, classes)
    for part, pair in dataset.pairs.items():
        counts, problems = pictures.check_pairs(report.place, part, pair)
        report.counts[part] = counts | {"expected_pictures": pair.count}
        report.problems += problems


def _look_into(report: Report, dataset: DataSet, recorded: Receipt) -> None:
    digits, problems = pictures.look_into(report.place, dataset)
    report.problems += problems
    if digits is None:
        return
    found, expected = Checksum("sha256", digits), dataset.tree or recorded.whole
    report.tree = str(found)
    if expected is None:
        report.notes.append(f"No checksum over all pictures is published; found {found}.")
    elif found != expected:
        whose = "published" if dataset.tree else "recorded before"
        report.problems.append(f"Checksum over all pictures: {found}; {whose}: {expected}.")


def _extras(dataset: DataSet, place: Path) -> Iterator[str]:
    """What lies at the top of the place and belongs to nothing."""
    if dataset.folders == (".",):
        return
    known = {path.split("/")[0] for path in (*dataset.expected, *dataset.folders)} | {"processed"}
    extra = sorted(entry.name for entry in place.iterdir() if entry.name not in known and entry.name[0] != ".")
    if extra:
        yield f"Also there, and of no concern: {', '.join(extra)}."
