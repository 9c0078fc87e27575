"""Images with a label for every pixel, as mmsegmentation data sets: scenes, CamVid, ADE20K, and how they become inputs.

Source: Brostow, Fauqueur, Cipolla, "Semantic Object Classes in Video", 2009 (CamVid; eleven classes as in
Badrinarayanan, Kendall, Cipolla, "SegNet", 2017); Zhou et al., "Scene Parsing through ADE20K Dataset", CVPR 2017.
"""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

from jobs.data import scenes
from jobs.data.scenes import PARTS, Part
from jobs.errors import DataError
from jobs.openmmlab import (
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
    TestTimeAug,
)
from jobs.provenance import digest_bytes

Step = Callable[[Any], Any]

IGNORED = 255
"""The label of pixels that neither train nor count."""
SCALES = (0.5, 0.75, 1.0, 1.25, 1.5, 1.75)
"""Sizes at which multi-scale evaluation sees a picture, each also mirrored: the recipe of Segmenter."""


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
        crop: height and width of a training crop and of an evaluation window [pixels].
        short_side: what the shorter side of a photograph is resized to first [pixels].
    """

    crop: int
    short_side: int

    @property
    def scale(self) -> tuple[int, int]:
        """mmcv's (longest, shortest) side; the former binds for no photograph."""
        return _scale(self.short_side)


@dataclasses.dataclass(frozen=True)
class Parts:
    """A data set opened for one job."""

    train: Any
    val: Any
    test: Any
    scaled: Any  # the test pictures, each at every one of SCALES, plain and mirrored
    batch: int  # pictures per evaluation step; 1 where sizes differ
    digest: str

    @property
    def classes(self) -> int:
        return len(self.train.metainfo["classes"])


@TRANSFORMS.register_module()
class Reach(BaseTransform):
    """Enlarges a picture whose shorter side is below `side` [pixels], as Segmenter does before its windows slide."""

    def __init__(self, side: int) -> None:
        self.side = side
        self.enlarge = Resize(_scale(side), keep_ratio=True)

    def transform(self, results: dict[str, Any]) -> Any:
        return self.enlarge(results) if min(results["img_shape"]) < self.side else results


def load(name: str, root: Path | None, view: View) -> Parts:
    """Data set `name`, below `root` unless it is embedded.

    Raises:
        DataError: files are missing.
    """
    if name == "scenes":
        return _scenes(view)
    train, val, test, scaled = {"camvid": _camvid, "ade20k": _ade20k}[name](_folder(name, root), view)
    return Parts(train, val, test, scaled, batch=4 if name == "camvid" else 1, digest=_digest([train, val, test]))


def _scenes(view: View) -> Parts:
    picture, labels, pack = scenes.DrawScene(), scenes.DrawLabels(), PackSegInputs()
    steps: dict[Part, list[Step]] = {part: [picture, labels, pack] for part in PARTS}
    steps["train"][2:2] = [RandomCrop((view.crop, view.crop)), PhotoMetricDistortion()]
    several = [picture, _scaled(scenes.CANVAS, view.crop, [labels])]
    train, val, test = (scenes.Scenes(part, pipeline=steps[part]) for part in PARTS)
    return Parts(train, val, test, scenes.Scenes("test", pipeline=several), batch=50, digest=scenes.digest())


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
    def opened(part: Part, pipeline: list[Step]) -> Any:
        prefix = {"img_path": part, "seg_map_path": f"{part}annot"}
        suffix = min((folder / part).iterdir()).suffix  # .png as published, .jpg in smaller copies
        return CamVid(data_root=str(folder), data_prefix=prefix, img_suffix=suffix, pipeline=pipeline)

    return _photographs(opened, view)


def _ade20k(folder: Path, view: View) -> list[Any]:
    """ADE20K publishes no test labels: the validation pictures are the test, as everywhere in the literature."""

    def opened(part: Part, pipeline: list[Step]) -> Any:
        stored = "training" if part == "train" else "validation"
        prefix = {"img_path": f"images/{stored}", "seg_map_path": f"annotations/{stored}"}
        return ADE20KDataset(data_root=str(folder), data_prefix=prefix, pipeline=pipeline)

    return _photographs(opened, view)


def _photographs(opened: Callable[[Part, list[Step]], Any], view: View) -> list[Any]:
    """Train, val, test and scaled; mmsegmentation's standard steps, whose random ones draw from the global streams."""
    picture, labels, pack = LoadImageFromFile(), LoadAnnotations(), PackSegInputs()
    train = [
        picture,
        labels,
        RandomResize(view.scale, (0.5, 2.0), keep_ratio=True),
        RandomCrop((view.crop, view.crop), cat_max_ratio=0.75),
        RandomFlip(0.5),
        PhotoMetricDistortion(),
        pack,
    ]
    plain = [picture, Resize(view.scale, keep_ratio=True), labels, pack]
    several = [picture, _scaled(view.short_side, view.crop, [labels])]
    return [opened("train", train), opened("val", plain), opened("test", plain), opened("test", several)]


def _scaled(short_side: int, window: int, labels: list[Step]) -> TestTimeAug:
    """Every picture at all scales and mirrored; labels follow last and stay as they are stored."""
    sizes = [Resize(_scale(max(1, round(ratio * short_side))), keep_ratio=True) for ratio in SCALES]
    return TestTimeAug([sizes, [Reach(window)], [RandomFlip(0.0), RandomFlip(1.0)], labels, [PackSegInputs()]])


def _scale(short_side: int) -> tuple[int, int]:
    return 4 * short_side, short_side


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
