"""Images with a label for every pixel, as mmsegmentation data sets: scenes of real digits, CamVid, ADE20K.

A scene is a noisy canvas, four by four tiles, with four to twelve of scikit-learn's digits on it, each in a colour of
its own; every pixel of a digit's tile carries the digit's class, all others are background. It is a pure function of
(part, index), and no digit image serves two parts.

Source: Brostow, Fauqueur, Cipolla, "Semantic Object Classes in Video", 2009 (CamVid; eleven classes as in
Badrinarayanan, Kendall, Cipolla, "SegNet", 2017); Zhou et al., "Scene Parsing through ADE20K Dataset", CVPR 2017.
"""

import dataclasses
import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy
from numpy.typing import NDArray
from sklearn.datasets import load_digits

from jobs.errors import DataError
from jobs.hosts.openmmlab import (
    DATASETS,
    TRANSFORMS,
    ADE20KDataset,
    BaseSegDataset,
    BaseTransform,
    LoadAnnotations,
    LoadImageFromFile,
    PackSegInputs,
    PhotoMetricDistortion,
    RandomCrop,
    RandomFlip,
    RandomResize,
    Resize,
)
from jobs.provenance import digest_bytes
from jobs.randomness import derive

Part = Literal["train", "val", "test"]
Bytes = NDArray[numpy.uint8]

PARTS: tuple[Part, ...] = ("train", "val", "test")
IGNORED = 255
"""The label of pixels that neither train nor count."""
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
    """Stands where file-based data sets load an image and its annotations."""

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        image, labels = draw(*results["scene"])
        results["img"], results["gt_seg_map"] = image, labels
        results["img_shape"] = results["ori_shape"] = image.shape[:2]
        results["seg_fields"].append("gt_seg_map")
        return results


@DATASETS.register_module()
class CamVid(BaseSegDataset):
    """Street scenes in eleven classes; label 11, void, is ignored."""

    METAINFO = {
        "classes": (
            "sky",
            "building",
            "pole",
            "road",
            "pavement",
            "tree",
            "sign",
            "fence",
            "car",
            "pedestrian",
            "cyclist",
        )
    }

    @classmethod
    def get_label_map(cls, new_classes: Any = None) -> dict[int, int]:
        """What mmsegmentation's loader does to stored labels."""
        return {11: IGNORED}


@dataclasses.dataclass(frozen=True)
class View:
    """How pictures become inputs.

    Args:
        crop: height and width of a training crop [pixels].
        short_side: what the shorter side of a photograph is resized to first [pixels].
    """

    crop: int
    short_side: int

    @property
    def scale(self) -> tuple[int, int]:
        """mmcv's (longest, shortest) side; the former binds for no photograph."""
        return 4 * self.short_side, self.short_side


@dataclasses.dataclass(frozen=True)
class Parts:
    """A data set opened for one job."""

    train: Any
    val: Any
    test: Any
    batch: int  # pictures per evaluation step; 1 where sizes differ
    digest: str

    @property
    def classes(self) -> int:
        return len(self.train.metainfo["classes"])


def load(name: str, root: Path | None, view: View) -> Parts:
    """Data set `name`, below `root` unless it is embedded.

    Raises:
        DataError: files are missing.
    """
    if name == "scenes":
        return _scenes(view)
    train, val, test = {"camvid": _camvid, "ade20k": _ade20k}[name](_folder(name, root), view)
    return Parts(train, val, test, batch=4 if name == "camvid" else 1, digest=_digest([train, val, test]))


def _scenes(view: View) -> Parts:
    draw_it, pack = DrawScene(), PackSegInputs()
    steps = {"train": [draw_it, RandomCrop((view.crop, view.crop)), PhotoMetricDistortion(), pack]}
    train, val, test = (Scenes(part, pipeline=steps.get(part, [draw_it, pack])) for part in PARTS)
    inks, targets = _digits()
    samples = (draw(part, _SCENES[part] - 1) for part in PARTS)  # tell when the drawing changes
    digest = digest_bytes(inks.tobytes(), targets.tobytes(), *(array.tobytes() for pair in samples for array in pair))
    return Parts(train, val, test, batch=50, digest=digest)


_FOLDERS = {"camvid": "CamVid", "ade20k": "ADEChallengeData2016"}
_NEEDED = {
    "camvid": tuple(f"{part}{suffix}" for part in PARTS for suffix in ("", "annot")),
    "ade20k": tuple(f"{kind}/{part}" for kind in ("images", "annotations") for part in ("training", "validation")),
}


def _folder(name: str, root: Path | None) -> Path:
    """Where `name` lies below `root`; every folder that its layout needs exists."""
    if root is None:
        raise DataError(f"{name} is read from disk: point --data to the folder that holds {_FOLDERS[name]}/.")
    folder = root / _FOLDERS[name]
    archives = sorted(root.glob(f"{_FOLDERS[name]}*.tar*"))
    if not folder.is_dir() and archives:
        raise DataError(f"{name}: {archives[0]} has not been unpacked; unpack it there, or elsewhere for --data.")
    for needed in _NEEDED[name]:
        place = folder / needed
        if not place.is_dir() or not any(place.iterdir()):
            wrong = "is empty" if place.is_dir() else "is missing"
            raise DataError(f"{name}: {place} {wrong}. Point --data to the folder above {folder.name}/.")
    return folder


def _camvid(folder: Path, view: View) -> list[Any]:
    def open_part(part: Part) -> Any:
        prefix = {"img_path": part, "seg_map_path": f"{part}annot"}
        suffix = min((folder / part).iterdir()).suffix  # .png as published, .jpg in smaller copies
        return CamVid(data_root=str(folder), data_prefix=prefix, img_suffix=suffix, pipeline=_pipeline(part, view))

    return [open_part(part) for part in PARTS]


def _ade20k(folder: Path, view: View) -> list[Any]:
    """ADE20K publishes no test labels: the validation pictures are the test, as everywhere in the literature."""

    def open_part(part: Part) -> Any:
        stored = "training" if part == "train" else "validation"
        prefix = {"img_path": f"images/{stored}", "seg_map_path": f"annotations/{stored}"}
        return ADE20KDataset(data_root=str(folder), data_prefix=prefix, pipeline=_pipeline(part, view))

    return [open_part(part) for part in PARTS]


def _pipeline(part: Part, view: View) -> list[Callable[[Any], Any]]:
    """mmsegmentation's standard steps; random ones draw from NumPy's and Python's global streams."""
    if part == "train":
        return [
            LoadImageFromFile(),
            LoadAnnotations(),
            RandomResize(view.scale, (0.5, 2.0), keep_ratio=True),
            RandomCrop((view.crop, view.crop), cat_max_ratio=0.75),
            RandomFlip(0.5),
            PhotoMetricDistortion(),
            PackSegInputs(),
        ]
    return [LoadImageFromFile(), Resize(view.scale, keep_ratio=True), LoadAnnotations(), PackSegInputs()]


def _digest(parts: list[Any]) -> str:
    """Over names and sizes of all pictures and label maps."""
    lines = []
    for part in parts:
        for index in range(len(part)):
            entry = part.get_data_info(index)
            for path in (Path(entry["img_path"]), Path(entry["seg_map_path"])):
                if not path.is_file():
                    raise DataError(f"{path} is missing, so {entry['img_path']} has no labels.")
                lines.append(f"{path.parent.name}/{path.name}\0{path.stat().st_size}")
    return digest_bytes("\n".join(lines).encode())
