"""Scenes: pictures composed of scikit-learn's digits, with a label for every pixel, as an mmsegmentation data set.

A scene is a noisy canvas, four by four tiles, with four to twelve digits on it, each in a colour of its own; every
pixel of a digit's tile carries the digit's class, all others are background. It is a pure function of (part, index),
and no digit image serves two parts.
"""

import functools
from typing import Any, Literal

import numpy
from numpy.typing import NDArray
from sklearn.datasets import load_digits

from jobs.openmmlab import DATASETS, TRANSFORMS, BaseSegDataset, BaseTransform
from jobs.provenance import digest_bytes
from jobs.randomness import derive

Part = Literal["train", "val", "test"]
Bytes = NDArray[numpy.uint8]

PARTS: tuple[Part, ...] = ("train", "val", "test")
CANVAS = 32
"""Height and width of a scene [pixels]."""
_TILE = 8
"""Height and width of a digit [pixels]; tiles lie on a grid."""
_SCENES = {"train": 2000, "val": 100, "test": 150}
_DIGITS = {"train": slice(0, 1200), "val": slice(1200, 1450), "test": slice(1450, None)}


@functools.cache
def _digits() -> tuple[NDArray[numpy.float64], NDArray[numpy.int64]]:
    """All digits in one fixed random order: ink (1797, 8, 8) in [0, 1] and labels (1797,)."""
    digits = load_digits()
    order = numpy.random.default_rng(derive(0, "digits")).permutation(len(digits.target))
    return digits.images[order] / 16, digits.target[order]


def draw(part: Part, index: int) -> tuple[Bytes, Bytes]:
    """Scene `index` of a part: image (CANVAS, CANVAS, 3) and labels (CANVAS, CANVAS), 0 or digit + 1."""
    rng = numpy.random.default_rng(derive(0, "scene", part, index))
    image = rng.uniform(0, 60, 3) + rng.uniform(0, 40, (CANVAS, CANVAS, 3))
    labels = numpy.zeros((CANVAS, CANVAS), numpy.uint8)
    inks, targets = (array[_DIGITS[part]] for array in _digits())
    side = CANVAS // _TILE
    for tile in rng.choice(side**2, rng.integers(4, 13), replace=False):
        chosen, colour = rng.integers(len(targets)), rng.uniform(150, 255, 3)
        top, left = (_TILE * place for place in divmod(tile, side))
        place = slice(top, top + _TILE), slice(left, left + _TILE)
        image[place] += inks[chosen, ..., None] * (colour - image[place])
        labels[place] = targets[chosen] + 1
    return image.round().astype(numpy.uint8), labels


@DATASETS.register_module()
class Scenes(BaseSegDataset):
    """The scenes of one part."""

    METAINFO = {"classes": ("background", *map(str, range(10)))}

    def __init__(self, part: Part, **options: Any) -> None:
        self.part = part
        super().__init__(**options)

    def load_data_list(self) -> list[dict[str, Any]]:
        """Entries as mmengine wants them; the picture is drawn when an entry is asked for."""
        return [{"scene": (self.part, index), "seg_fields": []} for index in range(_SCENES[self.part])]


@TRANSFORMS.register_module()
class DrawScene(BaseTransform):
    """Stands where file-based data sets load an image."""

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        part, index = results["scene"]
        results["img"], _ = draw(part, index)
        results["img_shape"] = results["ori_shape"] = results["img"].shape[:2]
        results["img_path"] = f"{part}/{index}"
        return results


@TRANSFORMS.register_module()
class DrawLabels(BaseTransform):
    """Stands where file-based data sets load the annotations."""

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        _, results["gt_seg_map"] = draw(*results["scene"])
        results["seg_fields"].append("gt_seg_map")
        return results


def digest() -> str:
    """Over the digits and a few drawings, which tell when the drawing changes."""
    inks, targets = _digits()
    samples = (draw(part, _SCENES[part] - 1) for part in PARTS)
    return digest_bytes(inks.tobytes(), targets.tobytes(), *(array.tobytes() for pair in samples for array in pair))
