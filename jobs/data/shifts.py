"""ImageNet's shifted test sets, read where they lie beside ImageNet below the data root.

    imagenet-a/<wnid>/<image>                           natural adversarial examples, 200 of the 1,000 classes
    imagenet-r/<wnid>/<image>                           renditions, 200 of the 1,000 classes
    imagenet-c/<corruption>/<severity>/<wnid>/<image>   15 corruptions in severities 1 to 5

A and R count the best logit among their own classes; C is the mean top-1 over corruptions and severities, and mCE the
mean over corruptions of (mean error over severities) / (AlexNet's).

Source: Hendrycks et al., "Natural Adversarial Examples", CVPR 2021 (A); "The Many Faces of Robustness", ICCV 2021 (R);
Hendrycks, Dietterich, "Benchmarking Neural Network Robustness to Common Corruptions and Perturbations", ICLR 2019 (C,
with AlexNet's errors).
"""

import dataclasses
import itertools
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import fmean

from jobs.api import Metric
from jobs.data.images import Folder, Listed, Sample, listed
from jobs.errors import DataError
from jobs.provenance import digest_bytes

_ALEXNET_ERROR = {
    "gaussian_noise": 88.6428,
    "shot_noise": 89.4468,
    "impulse_noise": 92.2640,
    "defocus_blur": 81.9880,
    "glass_blur": 82.6268,
    "motion_blur": 78.5948,
    "zoom_blur": 79.8360,
    "snow": 86.6816,
    "frost": 82.6572,
    "fog": 81.9324,
    "brightness": 56.4592,
    "contrast": 85.3204,
    "elastic_transform": 64.6056,
    "pixelate": 71.7840,
    "jpeg_compression": 60.6500,
}
"""Mean top-1 error in % over the five severities."""
_SEVERITIES = range(1, 6)
_SUBSETS = ("imagenet-a", "imagenet-r")
_METRICS = {
    "imagenet-a": (Metric("imagenet_a_top1", "%", "higher"),),
    "imagenet-r": (Metric("imagenet_r_top1", "%", "higher"),),
    "imagenet-c": (Metric("imagenet_c_top1", "%", "higher"), Metric("imagenet_c_mce", "%", "lower")),
}

Scores = Callable[[Callable[[int], Sample], int, Sequence[int] | None], Mapping[str, float]]
"""top1 in % of samples read by number, how many there are, and the classes that may be answered (None: all)."""


@dataclasses.dataclass(frozen=True)
class Shifts:
    """What there is below `root`, in ImageNet's own classes and seen as its evaluation is."""

    root: Path
    imagenet: Folder

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """What `evaluate` returns."""
        return tuple(metric for name in self._present() for metric in _METRICS[name])

    def digest(self) -> str:
        """SHA-256 over the pictures' names, for A and R with their sizes.

        Raises:
            DataError: a class is unknown, or ImageNet-C is incomplete.
        """
        lines = [line for name in self._present() for line in self._lines(name)]
        return digest_bytes("".join(lines).encode())

    def evaluate(self, scores: Scores) -> dict[str, float]:
        """Every metric by name."""
        values: dict[str, float] = {}
        present = self._present()
        for name in (name for name in _SUBSETS if name in present):
            pictures, own = self._listed(self.root / name)
            values[_METRICS[name][0].name] = self._top1(scores, pictures, own)
        if "imagenet-c" in present:
            errors = {corruption: self._error(corruption, scores) for corruption in _ALEXNET_ERROR}
            values["imagenet_c_top1"] = 100 - fmean(errors.values())
            values["imagenet_c_mce"] = 100 * fmean(error / _ALEXNET_ERROR[name] for name, error in errors.items())
        return values

    def _present(self) -> list[str]:
        return [name for name in _METRICS if (self.root / name).is_dir()]

    def _error(self, corruption: str, scores: Scores) -> float:
        """Mean error in % over the severities."""
        places = (self.root / "imagenet-c" / corruption / str(severity) for severity in _SEVERITIES)
        return fmean(100 - self._top1(scores, self._listed(place)[0], None) for place in places)

    def _top1(self, scores: Scores, pictures: list[Listed], among: Sequence[int] | None) -> float:
        return scores(lambda index: self.imagenet.seen(pictures[index]), len(pictures), among)["top1"]

    def _listed(self, place: Path) -> tuple[list[Listed], list[int]]:
        """The pictures of a folder with ImageNet's class numbers, and the numbers that occur."""
        found = listed(place)
        own = [self._number(name, place) for name in found.classes]
        return [(path, own[label]) for path, label in found.samples], own

    def _number(self, name: str, place: Path) -> int:
        if name not in self.imagenet.names:
            raise DataError(f"{place / name} is none of ImageNet's classes; the folders must be named as in train/.")
        return self.imagenet.names.index(name)

    def _lines(self, name: str) -> list[str]:
        if name in _SUBSETS:
            paths = (Path(path) for path, _ in self._listed(self.root / name)[0])
            return [f"{path.relative_to(self.root)} {path.stat().st_size}\n" for path in paths]
        return [self._corruptions(self.root / name)]

    def _corruptions(self, place: Path) -> str:
        """What all folders of ImageNet-C hold alike."""
        first = None
        for corruption, severity in itertools.product(_ALEXNET_ERROR, _SEVERITIES):
            found = self._files(place / corruption / str(severity))
            first = first or found
            if not found or found != first:
                raise DataError(
                    f"{place}/{corruption}/{severity} is missing or holds other pictures than its neighbours. "
                    f"Complete the 15 corruptions in 5 severities, or move {place.name} away to leave it out."
                )
        return first or ""

    def _files(self, place: Path) -> str:
        """Digest of the names of all pictures, '' without any; there are millions, so nothing else is looked at."""
        if not place.is_dir():
            return ""
        classes = _names(place)
        for name in classes:
            self._number(name, place)
        lines = (f"{name}/{file}\n" for name in classes for file in _names(place / name))
        return digest_bytes("".join(lines).encode())


def _names(place: Path) -> list[str]:
    with os.scandir(place) as entries:
        return sorted(entry.name for entry in entries)
