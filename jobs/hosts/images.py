"""Labelled pictures: scikit-learn's digits, embedded, and folders of images as ImageNet has them.

    <data root>/<folder>/{train,val[,test]}/<class>/<image>

Without a test folder the val folder is the test part, as is usual for ImageNet. Augmentation draws from the
generator it is given and from nothing else.

Source: Alpaydin, Kaynak, "Optical Recognition of Handwritten Digits", UCI, 1998 (1,797 digits of 13 writers);
Szegedy et al., "Going Deeper with Convolutions", CVPR 2015 (the random resized crop).
"""

import dataclasses
import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Protocol, TypeVar

import numpy
import torch
from PIL import Image
from sklearn.datasets import load_digits
from timm.data import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD
from torch import Generator, Tensor
from torch.nn.functional import interpolate, pad
from torchvision.datasets import ImageFolder

from jobs.contract import file_sha256
from jobs.errors import DataError
from jobs.provenance import digest_bytes
from jobs.randomness import generator

_CLASSES = {"imagenet": 1000, "tiny-imagenet-100": 100}
"""Classes that a data set of this name must have."""
_HELD_OUT = {"val": 150, "test": 450}
"""Digits that do not train."""
_DIGEST_BYTES = 64 * 2**20
"""A folder up to this size is identified by its files' contents, a larger one by their names and sizes."""

Sample = tuple[Tensor, int]
"""A picture (channels, size, size), normalised, and its class."""
_T = TypeVar("_T")


@dataclasses.dataclass(frozen=True)
class View:
    """How a picture is cut: its side in pixels, and what a crop keeps of it."""

    size: int
    train_area: float  # smallest share of the area in a training crop, in (0, 1]; 1 switches augmentation off
    test_side: float  # share of the shorter side in the central crop of evaluation, in (0, 1]


class Pictures(Protocol):
    """A data set in three parts: train, val, test."""

    classes: int
    channels: int

    def count(self, part: str) -> int: ...

    def train(self, index: int, draws: Generator) -> Sample:
        """Training picture `index`, augmented with random numbers from `draws`."""
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
        return _digits(view)
    if not folder:
        raise DataError("imagefolder needs the argument `folder`, the path below the data root of the folder to read.")
    place = _unpacked(name, folder, root)
    pictures = Folder(place, view)
    wanted = _CLASSES.get(name, pictures.classes)
    if pictures.classes != wanted:
        raise DataError(f"{name}: {place}/train has {pictures.classes} classes; {wanted} were expected.")
    return pictures, pictures.digest()


def collect(read: Callable[[_T], Sample], items: Sequence[_T]) -> tuple[Tensor, Tensor]:
    """Pictures (B, channels, size, size) and classes (B,) of `items`, read on as many threads as torch may use."""
    threads = torch.get_num_threads()
    if threads == 1:
        samples = list(map(read, items))
    else:
        with ThreadPoolExecutor(threads) as pool:
            samples = list(pool.map(read, items))
    return torch.stack([picture for picture, _ in samples]), torch.tensor([label for _, label in samples])


class Digits:
    """The digits enlarged to the view's size; training shifts them by up to an eighth of it."""

    classes, channels = 10, 1

    def __init__(self, pictures: dict[str, Tensor], labels: dict[str, list[int]], view: View) -> None:
        self.pictures, self.labels, self.view = pictures, labels, view

    def count(self, part: str) -> int:
        return len(self.labels[part])

    def train(self, index: int, draws: Generator) -> Sample:
        picture, label = self.plain("train", index)
        reach = self.view.size // 8 if self.view.train_area < 1 else 0
        top, left = torch.randint(2 * reach + 1, (2,), generator=draws).tolist()
        blank = picture.min().item()
        wide = pad(picture, (reach, reach, reach, reach), value=blank)
        return wide[:, top : top + self.view.size, left : left + self.view.size], label

    def plain(self, part: str, index: int) -> Sample:
        return self.pictures[part][index], self.labels[part][index]


class Folder:
    """Folders of images; training takes a random resized crop and flips every other picture."""

    channels = 3

    def __init__(self, place: Path, view: View) -> None:
        self.place, self.view = place, view
        parts = {part: _listed(place / part) for part in ("train", "val")}
        parts["test"] = _listed(place / "test") if (place / "test").is_dir() else parts["val"]
        names = parts["train"].classes
        for part, found in parts.items():
            if found.classes != names:
                odd = sorted(set(found.classes) ^ set(names))[0]
                raise DataError(f"{place}: {part} and train do not hold the same classes; {odd!r} is in one only.")
        self.classes = len(names)
        self.samples: dict[str, list[tuple[str, int]]] = {part: found.samples for part, found in parts.items()}
        mean, std = torch.tensor(IMAGENET_DEFAULT_MEAN), torch.tensor(IMAGENET_DEFAULT_STD)
        self._mean, self._std = mean[:, None, None], std[:, None, None]

    def count(self, part: str) -> int:
        return len(self.samples[part])

    def train(self, index: int, draws: Generator) -> Sample:
        path, label = self.samples["train"][index]
        if self.view.train_area == 1:
            return self.plain("train", index)
        image = _opened(path)
        picture = self._cut(image, crop(image.size, self.view.train_area, draws))
        flipped = torch.rand((), generator=draws) < 0.5
        return picture.flip(-1) if flipped else picture, label

    def plain(self, part: str, index: int) -> Sample:
        path, label = self.samples[part][index]
        image = _opened(path)
        return self._cut(image, _centre(image.size, self.view.test_side)), label

    def digest(self) -> str:
        """SHA-256 over the names of all pictures with their contents, or with their sizes if there is much."""
        paths = sorted({Path(path) for samples in self.samples.values() for path, _ in samples})
        sizes = [path.stat().st_size for path in paths]
        small = sum(sizes) <= _DIGEST_BYTES
        marks = map(file_sha256, paths) if small else map(str, sizes)
        lines = (f"{path.relative_to(self.place).as_posix()} {mark}" for path, mark in zip(paths, marks, strict=True))
        return digest_bytes("\n".join(lines).encode())

    def _cut(self, image: Image.Image, box: tuple[float, float, float, float]) -> Tensor:
        size = (self.view.size, self.view.size)
        pixels = numpy.array(image.resize(size, Image.Resampling.BICUBIC, box=box))
        return (torch.from_numpy(pixels).permute(2, 0, 1) / 255 - self._mean) / self._std


def crop(size: tuple[int, int], train_area: float, draws: Generator) -> tuple[float, float, float, float]:
    """A random box (left, top, right, bottom): `train_area` to all of the area, 3:4 to 4:3 in shape.

    After ten shapes that do not fit, the central square.
    """
    width, height = size
    for _ in range(10):
        share, shape, across, down = torch.rand(4, generator=draws).tolist()
        area = width * height * (train_area + (1 - train_area) * share)
        ratio = math.exp((2 * shape - 1) * math.log(4 / 3))
        wide, high = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < wide <= width and 0 < high <= height:
            left, top = int(across * (width - wide + 1)), int(down * (height - high + 1))
            return left, top, left + wide, top + high
    return _centre(size, 1.0)


def _centre(size: tuple[int, int], share: float) -> tuple[float, float, float, float]:
    """The central square whose side is `share` of the shorter side."""
    width, height = size
    side = min(size) * share
    left, top = (width - side) / 2, (height - side) / 2
    return left, top, left + side, top + side


def _digits(view: View) -> tuple[Digits, str]:
    found = load_digits()
    raw, labels = torch.from_numpy(found.images).float()[:, None] / 16, torch.from_numpy(found.target)
    order = torch.randperm(len(labels), generator=generator(0, "digits"))
    held_out = sum(_HELD_OUT.values())
    parts = dict(zip(("train", *_HELD_OUT), order.split([len(order) - held_out, *_HELD_OUT.values()]), strict=True))
    size = (view.size, view.size)
    large = interpolate(raw, size, mode="bilinear", align_corners=False)
    train = large[parts["train"]]
    large = (large - train.mean()) / train.std()
    digest = digest_bytes(*(array.numpy().tobytes() for array in (raw, labels, order)))
    pictures = {part: large[chosen] for part, chosen in parts.items()}
    return Digits(pictures, {part: labels[chosen].tolist() for part, chosen in parts.items()}, view), digest


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


def _listed(place: Path) -> ImageFolder:
    try:
        return ImageFolder(str(place))
    except FileNotFoundError as error:
        raise DataError(f"{place} is not a folder of class folders with images: {error}") from error


def _opened(path: str) -> Image.Image:
    try:
        with Image.open(path) as image:
            return image.convert("RGB")
    except OSError as error:
        raise DataError(f"{path} cannot be read as an image ({error}).") from error


def spread(count: int, wanted: int) -> list[int]:
    """`wanted` indices evenly spread over `count` (all if there are fewer): folders list class after class."""
    return [index * count // min(wanted, count) for index in range(min(wanted, count))]
