"""The data sets that can be listed, prepared and verified, as `sets.yaml` beside this file describes them."""

import dataclasses
import functools
import itertools
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Self

import yaml

from suite.data.checksum import Checksum
from suite.errors import UsageError, unknown

UNPINNED = "unpinned"
"""In place of a checksum that nobody has published: the first download decides."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Published:
    """A file as it was published. What is not known of it is None."""

    name: str
    url: str | None = None
    bytes: int | None = None
    check: Checksum | None = None

    @classmethod
    def of(cls, name: str, stated: str, base: str | None) -> Self:
        """From `"<bytes> <algorithm>:<checksum>"`, either part of which may be missing, or `unpinned`."""
        words = [] if stated == UNPINNED else str(stated).split()
        check = Checksum.of(words.pop()) if words and ":" in words[-1] else None
        return cls(
            name=name, url=f"{base}/{name}" if base else None, bytes=int(words[0]) if words else None, check=check
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Single:
    """A published file that is used as it is."""

    file: Published
    places: tuple[str, ...]  # paths below the data set's folder that hold it


@dataclasses.dataclass(frozen=True, kw_only=True)
class Archive:
    """A published file that is unpacked."""

    file: Published
    below: str | None = None  # the folder inside it that becomes the data set's
    arrange: str | None = None  # how its members are laid out where that is not enough; see suite.data.arrange


@dataclasses.dataclass(frozen=True, kw_only=True)
class Classes:
    """A folder that holds one folder of pictures per class."""

    classes: int
    images: int
    each: tuple[int, int] | None = None  # fewest and most pictures of a class


@dataclasses.dataclass(frozen=True, kw_only=True)
class Pairs:
    """A folder of pictures and one of label maps with the same stems."""

    images: str
    masks: str
    count: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class DataSet:
    """One entry of the table."""

    name: str
    summary: str
    licence: str
    homepage: str
    place: str  # its folder below --data
    about: str | None = None
    by_hand: str | None = None  # why it is never downloaded, and what to do instead
    archives: tuple[Archive, ...] = ()
    singles: tuple[Single, ...] = ()
    tokens: Mapping[str, int] = dataclasses.field(default_factory=dict)
    classes: Mapping[str, Classes] = dataclasses.field(default_factory=dict)
    pairs: Mapping[str, Pairs] = dataclasses.field(default_factory=dict)
    tree: Checksum | None = None  # over all pictures; see suite.data.verify

    @property
    def expected(self) -> dict[str, Published]:
        """Every file that must lie below the place, by its path there; pictures are counted instead."""
        return {path: single.file for single in self.singles for path in single.places}

    @property
    def folders(self) -> tuple[str, ...]:
        """The folders below the place that hold pictures or label maps."""
        paired = [folder for pair in self.pairs.values() for folder in (pair.images, pair.masks)]
        return (*self.classes, *paired)

    @property
    def downloads(self) -> tuple[Published, ...]:
        """Everything that is fetched, or to be given with --from."""
        loose = [] if self.archives else [single.file for single in self.singles]
        return (*(archive.file for archive in self.archives), *loose)

    @property
    def bytes(self) -> int | None:
        """Size of all downloads; None where that of one of them is not known."""
        sizes = [file.bytes for file in self.downloads]
        return None if None in sizes else sum(size for size in sizes if size is not None)

    @classmethod
    def of(cls, name: str, entry: Mapping[str, Any]) -> Self:
        """From an entry of the YAML file."""
        plain = {key: entry.get(key) for key in ("summary", "licence", "homepage", "place", "about", "by_hand")}
        return cls(
            name=name,
            **plain,  # type: ignore[arg-type]  # a missing one of the required fields fails every test
            archives=tuple(_archive(item) for item in entry.get("archives", ())),
            singles=tuple(single for group in entry.get("groups", ()) for single in _singles(group)),
            tokens=entry.get("tokens", {}),
            classes={part: _classes(item) for key, item in entry.get("classes", {}).items() for part in _parts(key)},
            pairs={part: Pairs(**item) for part, item in entry.get("pairs", {}).items()},
            tree=Checksum.of(entry["tree"]) if "tree" in entry else None,
        )


@functools.cache
def load() -> Mapping[str, DataSet]:
    """The whole table by name."""
    text = Path(__file__).with_name("sets.yaml").read_text(encoding="utf-8")
    return {name: DataSet.of(name, entry) for name, entry in yaml.safe_load(text).items()}


def find(name: str) -> DataSet:
    """The entry called `name`.

    Raises:
        UsageError: there is none; the message names those there are.
    """
    if name not in load():
        raise UsageError(unknown("data set", name, load()))
    return load()[name]


def concerns(name: str, path: str) -> bool:
    """Whether the file at `path` below the data set's folder is one of it, rather than somebody's note beside it."""
    found = load().get(name)
    if found is None or not (found.expected or found.folders):
        return True
    return path in found.expected or any(path.startswith(f"{folder}/") for folder in found.folders)


def place(name: str, arguments: Mapping[str, Any]) -> str | None:
    """The folder below --data that a job reads, by its data set and task arguments; None: it needs none."""
    if name in load():
        return load()[name].place
    folder = arguments.get("folder")  # of the data set imagefolder, which is whatever the user has
    return folder if isinstance(folder, str) and folder else None


def _archive(item: Mapping[str, Any]) -> Archive:
    url = item.get("url")
    file = Published(
        name=item.get("name") or url.rsplit("/", 1)[-1],  # type: ignore[union-attr]  # each has one of them
        url=url,
        bytes=item.get("bytes"),
        check=Checksum.of(item["check"]) if "check" in item else None,
    )
    return Archive(file=file, below=item.get("below"), arrange=item.get("arrange"))


def _singles(group: Mapping[str, Any]) -> Iterator[Single]:
    for name, stated in group["files"].items():
        places = tuple(name if folder == "." else f"{folder}/{name}" for folder in group.get("to", ["."]))
        yield Single(file=Published.of(name, stated, group.get("from")), places=places)


def _classes(item: Mapping[str, Any]) -> Classes:
    each = item.get("each")
    span = (each, each) if isinstance(each, int) else each
    return Classes(classes=item["classes"], images=item["images"], each=tuple(span) if span else None)


def _parts(key: str) -> list[str]:
    """The folders that a key with alternatives stands for.

    >>> _parts("snow,fog/1,2")
    ['snow/1', 'snow/2', 'fog/1', 'fog/2']
    """
    return ["/".join(words) for words in itertools.product(*(step.split(",") for step in key.split("/")))]
