"""Labelled pictures: the embedded digits, and folders of images as ImageNet has them.

    <data root>/<folder>/{train,val[,test]}/<class>/<image>

Without a test folder the val folder is the test part, as is usual for ImageNet. Augmentation draws from the global
streams of Python, NumPy and torch; the caller lends them.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision.datasets import ImageFolder

from jobs.contract import file_sha256
from jobs.data import digits, views
from jobs.data.views import View
from jobs.errors import DataError
from jobs.provenance import digest_bytes

_CLASSES = {"imagenet": 1000, "tiny-imagenet-100": 100}
"""Classes that a data set of this name must have."""
_DIGEST_BYTES = 64 * 2**20
"""A folder up to this size is identified by its files' contents, a larger one by their names and sizes."""

Sample = tuple[Tensor, int]
"""A picture (channels, size, size), normalised, and its class."""
Listed = tuple[str, int]
"""A picture's path and its class."""
Batch = tuple[Tensor, Tensor]
"""Pictures (B, channels, size, size) and classes (B,)."""


class Pictures(Protocol):
    """A data set in three parts: train, val, test."""

    classes: int
    channels: int

    def count(self, part: str) -> int: ...

    def train(self, index: int) -> Sample:
        """Training picture `index`, augmented with random numbers from the global streams."""
        ...

    def plain(self, part: str, index: int) -> Sample:
        """Picture `index` of `part` as evaluation sees it."""
        ...


def load(name: str, folder: str, root: Path | None, view: View) -> tuple[Pictures, str]:
    """The data set `name` with its digest; `folder` is where below `root` its parts lie.

    Raises:
        DataError: the folder is missing, still packed, incomplete or of another number of classes.
    """
    if name == "digits":
        return digits.load(view)
    if not folder:
        raise DataError("imagefolder needs the argument `folder`, the path below the data root of the folder to read.")
    place = _unpacked(name, folder, root)
    pictures = Folder(place, view)
    wanted = _CLASSES.get(name, pictures.classes)
    if pictures.classes != wanted:
        raise DataError(f"{name}: {place}/train has {pictures.classes} classes; {wanted} were expected.")
    return pictures, pictures.digest()


def collect(samples: Iterable[Sample]) -> Batch:
    """One batch of `samples`."""
    pictures, labels = zip(*samples, strict=True)
    return torch.stack(pictures), torch.tensor(labels)


class Reading(Dataset[Batch]):
    """Batches of indices read with `read`, as one process or several data-loading processes see them."""

    def __init__(self, read: Callable[[int], Sample], batches: Sequence[range]) -> None:
        self.read, self.batches = read, batches

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, number: int) -> Batch:
        return collect(map(self.read, self.batches[number]))

    def loaded(self, workers: int) -> Iterator[Batch]:
        """All batches in order, read by `workers` processes (0: by this one)."""
        apart = torch.Generator()  # a loader draws when it starts, which would shift the global stream
        pinned = torch.cuda.is_available()
        return iter(DataLoader(self, batch_size=None, num_workers=workers, generator=apart, pin_memory=pinned))


class Folder:
    """Folders of images in colour."""

    channels = 3

    def __init__(self, place: Path, view: View) -> None:
        self.place = place
        parts = {part: listed(place / part) for part in ("train", "val")}
        parts["test"] = listed(place / "test") if (place / "test").is_dir() else parts["val"]
        self.names: list[str] = parts["train"].classes
        for part, found in parts.items():
            if found.classes != self.names:
                odd = sorted(set(found.classes) ^ set(self.names))[0]
                raise DataError(f"{place}: {part} and train do not hold the same classes; {odd!r} is in one only.")
        self.classes = len(self.names)
        self.samples: dict[str, list[Listed]] = {part: found.samples for part, found in parts.items()}
        self._augmented, self._plain = views.training(view), views.evaluation(view)

    def count(self, part: str) -> int:
        return len(self.samples[part])

    def train(self, index: int) -> Sample:
        path, label = self.samples["train"][index]
        return self._augmented(_opened(path)), label

    def plain(self, part: str, index: int) -> Sample:
        return self.seen(self.samples[part][index])

    def seen(self, sample: Listed) -> Sample:
        """A picture of this or another folder as evaluation sees it."""
        path, label = sample
        return self._plain(_opened(path)), label

    def digest(self) -> str:
        """SHA-256 over the names of all pictures with their contents, or with their sizes if there is much."""
        paths = sorted({Path(path) for samples in self.samples.values() for path, _ in samples})
        sizes = [path.stat().st_size for path in paths]
        small = sum(sizes) <= _DIGEST_BYTES
        marks = map(file_sha256, paths) if small else map(str, sizes)
        lines = (f"{path.relative_to(self.place).as_posix()} {mark}" for path, mark in zip(paths, marks, strict=True))
        return digest_bytes("\n".join(lines).encode())


def listed(place: Path) -> ImageFolder:
    """The class folders of `place` and the pictures in them, sorted.

    Raises:
        DataError: there are none.
    """
    try:
        return ImageFolder(str(place))
    except FileNotFoundError as error:
        raise DataError(f"{place} is not a folder of class folders with images: {error}") from error


def spread(count: int, wanted: int) -> list[int]:
    """`wanted` indices evenly spread over `count` (all if there are fewer): folders list class after class."""
    return [index * count // min(wanted, count) for index in range(min(wanted, count))]


def _unpacked(name: str, folder: str, root: Path | None) -> Path:
    if root is None:
        raise DataError(f"{name}: no data root. Point --data to the folder that holds {folder}/.")
    place = root / folder
    if place.is_dir():
        return place
    packed = place.with_name(place.name + ".tar")
    if packed.is_file():
        raise DataError(f"{name}: {packed} is still packed. Unpack it: tar -xf {packed} -C {packed.parent}")
    raise DataError(f"{name}: {place} does not exist. Point --data to the folder that holds {folder}/.")


def _opened(path: str) -> Image.Image:
    try:
        with Image.open(path) as image:
            return image.convert("RGB")
    except OSError as error:
        raise DataError(f"{path} cannot be read as an image ({error}).") from error
