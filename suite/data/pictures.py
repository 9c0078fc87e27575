"""Count a folder of pictures without opening them, or look into every one."""

import dataclasses
import hashlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from suite.data.sets import Classes, DataSet, Pairs

_ENDINGS = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")
"""What the jobs' loader of picture folders takes for a picture."""
_BEGINNINGS = (b"\xff\xd8\xff", b"\x89PNG\r\n", b"BM", b"P5", b"P6", b"II*\0", b"MM\0*", b"RIFF")
_NAMED = 3
"""How many of many are named."""


@dataclasses.dataclass
class Count:
    """What a folder holds."""

    images: int = 0
    classes: dict[str, int] = dataclasses.field(default_factory=dict)  # pictures of each
    empty: list[str] = dataclasses.field(default_factory=list)  # files of no bytes
    strange: list[str] = dataclasses.field(default_factory=list)  # files that are no pictures by their name
    unreadable: list[str] = dataclasses.field(default_factory=list)  # folders and files that cannot be looked at
    stems: set[str] = dataclasses.field(default_factory=set)  # names of files without their endings


def count_classes(folder: Path) -> Count:
    """Pictures of every class folder in `folder`."""
    counted = Count()
    for entry in _entries(counted, folder, folder.name):
        try:
            if entry.is_dir():
                counted.classes[entry.name] = _count_into(counted, Path(entry.path), entry.name + "/")
        except OSError:  # a link to where nobody may look
            counted.unreadable.append(entry.name)
    return counted


def problems_of_classes(part: str, counted: Count, expected: Classes) -> Iterator[str]:
    """What tells a part from the published one: a sentence each."""
    if len(counted.classes) != expected.classes:
        yield f"{part}: {len(counted.classes):,} class folders; {expected.classes:,} were published."
    if counted.images != expected.images:
        yield f"{part}: {counted.images:,} pictures; {expected.images:,} were published."
    fewest, most = expected.each or (1, expected.images)
    odd = {name: count for name, count in counted.classes.items() if not fewest <= count <= most}
    if odd:
        span = f"{fewest:,}" if fewest == most else f"{fewest:,} to {most:,}"
        stated = [f"{name} ({count:,})" for name, count in odd.items()]
        yield f"{part}: {len(odd):,} classes do not hold {span} pictures: {_some(stated)}."
    yield from _flaws(part, counted)


def check_pairs(place: Path, part: str, expected: Pairs) -> tuple[dict[str, int], list[str]]:
    """How many pictures and label maps a part has, and what is wrong with them."""
    images, masks = Count(), Count()
    _count_into(images, place / expected.images, "")
    _count_into(masks, place / expected.masks, "")
    problems = [*_flaws(expected.images, images), *_flaws(expected.masks, masks)]
    if images.images != expected.count:
        problems.insert(0, f"{part}: {images.images:,} pictures; {expected.count:,} were published.")
    both = not images.unreadable and not masks.unreadable
    pairs = ((images.stems - masks.stems, "no label map"), (masks.stems - images.stems, "no picture"))
    for alone, what in pairs:
        if alone and both:
            problems.append(f"{part}: {len(alone):,} have {what}: {_some(sorted(alone))}.")
    return {"pictures": images.images, "label_maps": masks.images}, problems


def look_into(place: Path, dataset: DataSet) -> tuple[str | None, list[str]]:
    """Read every file of the parts: SHA-256 over all of theirs, and which are no pictures inside.

    The digest is over lines `<sha256>  <path>`, sorted by path; None where one of them cannot be read.
    """
    lines, strange, unreadable = [], [], []
    for name, path in sorted((path.relative_to(place).as_posix(), path) for path in _files(place, dataset.folders)):
        try:
            digits, picture = _read(path)
        except OSError:
            unreadable.append(name)
            continue
        lines.append(f"{digits}  {name}\n")
        if not picture and path.suffix.lower() in _ENDINGS:
            strange.append(name)
    problems = [f"{len(strange):,} files are no pictures inside: {_some(strange)}."] if strange else []
    if unreadable:
        return None, [f"{len(unreadable):,} files cannot be read: {_some(unreadable)}.", *problems]
    return hashlib.sha256("".join(lines).encode()).hexdigest(), problems


def _read(path: Path) -> tuple[str, bool]:
    """SHA-256 of a file, and whether it begins as a picture does."""
    with path.open("rb") as file:
        picture = file.read(8).startswith(_BEGINNINGS)
        file.seek(0)
        return hashlib.file_digest(file, "sha256").hexdigest(), picture


def _files(place: Path, folders: Iterable[str]) -> Iterator[Path]:
    for folder in folders:
        for directory, names, files in os.walk(place / folder):
            names[:] = sorted(name for name in names if not name.startswith("."))
            top = folder == "." and Path(directory) == place  # notes that come along lie beside the class folders
            yield from (Path(directory) / name for name in files if not name.startswith(".") and not top)


def _count_into(counted: Count, folder: Path, prefix: str) -> int:
    """Add the files of one folder; returns how many pictures they are."""
    before = counted.images
    for entry in _entries(counted, folder, prefix or folder.name):
        try:
            _count_one(counted, entry, prefix + entry.name)
        except OSError:  # a link that leads nowhere, or a folder that may be listed and not entered
            counted.unreadable.append(prefix + entry.name)
    return counted.images - before


def _count_one(counted: Count, entry: "os.DirEntry[str]", name: str) -> None:
    if entry.is_dir():
        return
    counted.stems.add(entry.name.rpartition(".")[0])
    if not entry.name.lower().endswith(_ENDINGS):
        counted.strange.append(name)
        return
    counted.images += 1
    if entry.stat().st_size == 0:
        counted.empty.append(name)


def _flaws(part: str, counted: Count) -> Iterator[str]:
    if counted.unreadable:
        yield f"{part}: {len(counted.unreadable):,} files or folders cannot be read: {_some(counted.unreadable)}."
    if counted.empty:
        yield f"{part}: {len(counted.empty):,} files are empty: {_some(counted.empty)}."
    if counted.strange:
        yield f"{part}: {len(counted.strange):,} files are no pictures: {_some(counted.strange)}."


def _entries(counted: Count, folder: Path, name: str) -> list["os.DirEntry[str]"]:
    """What is in a folder, sorted; one that cannot be listed is noted by its `name`."""
    try:
        if not folder.is_dir():
            return []
        with os.scandir(folder) as entries:
            return sorted((entry for entry in entries if entry.name[0] != "."), key=lambda entry: entry.name)
    except OSError:
        counted.unreadable.append(name)
        return []


def _some(names: list[str]) -> str:
    """The first few."""
    more = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
