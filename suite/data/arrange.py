"""Where the members of each archive go: one function per layout that the publisher's is not.

tiny-imagenet        train/<class>/images/* loses `images`; val/images/* is sorted by val_annotations.txt; no test
tiny-imagenet-100    every second class by name; its first 150 training pictures; the first 25 validation pictures by
                     number are val, the other 25 test
imagenet-train       a tar archive of one tar archive per class
imagenet-val         50,000 pictures, sorted by the ground truth in the development kit
imagenet-devkit      only read

Source: Russakovsky et al., "ImageNet Large Scale Visual Recognition Challenge", IJCV 2015 (the development kit).
"""

import io
import re
import tarfile
from collections import defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath
from typing import IO

from suite.data.sets import Archive
from suite.data.unpack import Rename, explained, names, opened, read, read_on, unpack, untar
from suite.errors import DataSetError

_TRAINING = re.compile(r"train/(n\d{8})/images/(n\d{8}_(\d+)\.JPEG)$")
_VALIDATION = re.compile(r"val/images/(val_(\d+)\.JPEG)$")
_NUMBERED = re.compile(r"ILSVRC2012_val_(\d{8})\.JPEG$")
_CLASS = re.compile(r"(n\d{8})\.tar$")
_KEPT, _HALF = 150, 25
"""Of tiny-imagenet-100: training pictures of a class, and validation pictures that stay validation."""

_Layout = Callable[[Path, Path, Mapping[str, Path]], int]


def place(archive: Archive, path: Path, into: Path, others: Mapping[str, Path]) -> None:
    """Unpack `path`, which is `archive`, into `into` in the layout of the table.

    Args:
        others: all archives of the data set by the name of their layout.

    Raises:
        DataSetError: it cannot be unpacked, or holds nothing of what is needed.
    """
    count = (
        unpack(path, into, _below(archive.below))
        if archive.arrange is None
        else _LAYOUTS[archive.arrange](path, into, others)
    )
    if not count:
        raise DataSetError(f"{path} holds nothing of what is needed; it is not {archive.file.name}.")


def _below(folder: str | None) -> Rename:
    """Members of the outermost folder of that name, wherever it lies, without what is above it."""

    def rename(name: str) -> str | None:
        parts = PurePosixPath(name).parts
        if folder is None:
            return name
        return "/".join(parts[parts.index(folder) + 1 :]) if folder in parts[:-1] else None

    return rename


def _tiny(path: Path, into: Path, others: Mapping[str, Path]) -> int:
    classes = _annotated(path)

    def rename(name: str) -> str | None:
        if match := _TRAINING.search(name):
            return f"train/{match[1]}/{match[2]}"
        match = _VALIDATION.search(name)
        return f"val/{classes[match[1]]}/{match[1]}" if match else None

    return unpack(path, into, rename)


def _tiny_100(path: Path, into: Path, others: Mapping[str, Path]) -> int:
    classes = _annotated(path)
    kept = set(sorted({match[1] for name in names(path) if (match := _TRAINING.search(name))})[::2])
    rank = _ranks(classes)

    def rename(name: str) -> str | None:
        if match := _TRAINING.search(name):
            return f"train/{match[1]}/{match[2]}" if match[1] in kept and int(match[3]) < _KEPT else None
        match = _VALIDATION.search(name)
        if match is None or classes[match[1]] not in kept:
            return None
        return f"{'val' if rank[match[1]] < _HALF else 'test'}/{classes[match[1]]}/{match[1]}"

    return unpack(path, into, rename)


def _annotated(path: Path) -> dict[str, str]:
    """The class of every validation picture of Tiny ImageNet, by its file name."""
    lines = read(path, "val/val_annotations.txt").decode().splitlines()
    return {words[0]: words[1] for line in lines if len(words := line.split()) > 1}


def _ranks(classes: Mapping[str, str]) -> dict[str, int]:
    """Each validation picture's place among those of its class, by number."""
    members: dict[str, list[str]] = defaultdict(list)
    for picture in sorted(classes, key=lambda name: int(name.removeprefix("val_").partition(".")[0])):
        members[classes[picture]].append(picture)
    return {picture: place for pictures in members.values() for place, picture in enumerate(pictures)}


def _imagenet_train(path: Path, into: Path, others: Mapping[str, Path]) -> int:
    count = 0
    with explained(path), opened(path) as outer:
        for member in outer:
            match = _CLASS.search(member.name)
            inner = outer.extractfile(member) if match and member.isfile() else None
            if match is None or inner is None:
                continue
            with _inner(inner, member, path) as tar:
                count += untar(tar, path, into / "train" / match[1], lambda picture: PurePosixPath(picture).name)
        read_on(outer)
    return count


def _inner(content: IO[bytes], member: tarfile.TarInfo, path: Path) -> tarfile.TarFile:
    try:
        return tarfile.open(fileobj=content)
    except tarfile.ReadError as error:
        raise DataSetError(
            f"{path} holds {member.name!r}, which is no tar archive. It is damaged: download it again."
        ) from error


def _imagenet_val(path: Path, into: Path, others: Mapping[str, Path]) -> int:
    classes = _ground_truth(others["imagenet-devkit"])

    def rename(name: str) -> str | None:
        match = _NUMBERED.search(name)
        if match is None or not 0 < int(match[1]) <= len(classes):
            return None
        return f"val/{classes[int(match[1]) - 1]}/{match[0]}"

    return unpack(path, into, rename)


def _ground_truth(devkit: Path) -> list[str]:
    """The class of every validation picture of ImageNet, in the order of their numbers.

    The kit numbers the classes; those without children in the hierarchy are the thousand that are told apart.
    """
    from scipy.io import loadmat  # heavy, and needed for this alone

    table = loadmat(io.BytesIO(read(devkit, "data/meta.mat")), squeeze_me=True)["synsets"]
    number, name, _, _, children = table.dtype.names[:5]
    leaves = {int(row[number]): str(row[name]) for row in table if int(row[children]) == 0}
    truth = read(devkit, "data/ILSVRC2012_validation_ground_truth.txt").decode().split()
    return [leaves[int(label)] for label in truth]


def _devkit(path: Path, into: Path, others: Mapping[str, Path]) -> int:
    return len(_ground_truth(path))


_LAYOUTS: Mapping[str, _Layout] = {
    "tiny-imagenet": _tiny,
    "tiny-imagenet-100": _tiny_100,
    "imagenet-train": _imagenet_train,
    "imagenet-val": _imagenet_val,
    "imagenet-devkit": _devkit,
}
