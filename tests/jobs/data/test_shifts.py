"""ImageNet-A, -R and -C on a tiny copy of their layouts: real digits as JPEGs in ImageNet's folders."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from sklearn.datasets import load_digits
from torch import Tensor, nn

from jobs.data.shifts import _ALEXNET_ERROR
from jobs.errors import DataError
from jobs.tasks.classification import Classification

NAMES = [f"n{number:08d}" for number in range(1000)]
CORRUPTIONS = list(_ALEXNET_ERROR)


@pytest.fixture(scope="module")
def digit(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], None]:
    """Writes one more JPEG at a path; ten real digits take turns."""
    folder, written = tmp_path_factory.mktemp("digits"), [0]
    for index in range(10):
        grey = Image.fromarray((load_digits().images[index] * 15).astype("uint8"))
        grey.resize((20, 16)).convert("RGB").save(folder / f"{index}.jpeg")

    def write(path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        os.link(folder / f"{written[0] % 10}.jpeg", path)
        written[0] += 1

    return write


@pytest.fixture(scope="module")
def imagenet(digit: Callable[[Path], None], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data root with 1,000 classes, one picture each in train and val."""
    root = tmp_path_factory.mktemp("root")
    for name in NAMES:
        for part in ("train", "val"):
            digit(root / "imagenet" / part / name / "0.JPEG")
    return root


@pytest.fixture
def root(imagenet: Path, tmp_path: Path) -> Path:
    (tmp_path / "imagenet").symlink_to(imagenet / "imagenet")
    return tmp_path


def loaded(root: Path) -> tuple[Classification, str]:
    task = Classification(depth=1, width=8, heads=2)
    return task, task.load("imagenet", "default", root, 0)


class Rising(nn.Module):
    """Whatever it is shown, a higher class is more likely."""

    def __init__(self) -> None:
        super().__init__()
        self.logits = nn.Parameter(torch.linspace(0, 1, 1000))

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        return self.logits.expand(len(pictures), 1000), pictures.new_zeros(())


def scores_of(task: Classification) -> dict[str, float]:
    with torch.no_grad():
        return task.evaluate(Rising(), "test", lambda: None)


def test_without_shifted_sets_there_are_the_usual_metrics(root: Path) -> None:
    task, _ = loaded(root)
    assert scores_of(task).keys() == {"top1", "top5", "loss"} == {metric.name for metric in task.metrics}
    assert scores_of(task)["top1"] == pytest.approx(0.1) and scores_of(task)["top5"] == pytest.approx(0.5)


def test_a_and_r_are_decided_among_their_own_classes(root: Path, digit: Callable[[Path], None]) -> None:
    _, plain = loaded(root)
    for name, number in (("a", 7), ("b", 7), ("c", 7), ("d", 3)):
        digit(root / "imagenet-a" / NAMES[number] / f"{name}.jpg")
    for number in (500, 501, 502):
        digit(root / "imagenet-r" / NAMES[number] / "0.jpg")
    task, digest = loaded(root)
    values = scores_of(task)
    assert values["imagenet_a_top1"] == 75 and values["imagenet_r_top1"] == pytest.approx(100 / 3)
    assert values.keys() == {metric.name for metric in task.metrics}
    assert digest == plain, "ImageNet's own numbers do not depend on them"
    further = task.further["shifts"]
    (root / "imagenet-a" / NAMES[7] / "c.jpg").unlink()
    assert loaded(root)[0].further["shifts"] != further


def test_validation_does_not_touch_the_shifted_sets(root: Path, digit: Callable[[Path], None]) -> None:
    digit(root / "imagenet-a" / NAMES[7] / "a.jpg")
    task, _ = loaded(root)
    assert "imagenet_a_top1" not in task.evaluate(Rising(), "val", lambda: None)
    assert Classification.metrics != task.metrics


def corrupt(root: Path, digit: Callable[[Path], None], classes: tuple[int, ...]) -> None:
    for corruption in CORRUPTIONS:
        for severity in range(1, 6):
            for number in classes:
                digit(root / "imagenet-c" / corruption / str(severity) / NAMES[number] / "0.JPEG")


def test_c_is_the_mean_over_corruptions_and_severities_among_all_classes(
    root: Path, digit: Callable[[Path], None]
) -> None:
    corrupt(root, digit, (7, 999))
    values: Any = scores_of(loaded(root)[0])
    assert values["imagenet_c_top1"] == 50
    alexnet = [88.6, 89.4, 92.3, 82.0, 82.6, 78.6, 79.8, 86.7, 82.7, 81.9, 56.5, 85.3, 64.6, 71.8, 60.7]
    assert values["imagenet_c_mce"] == pytest.approx(sum(5000 / error for error in alexnet) / 15, rel=1e-3)


def test_an_incomplete_c_is_refused(root: Path, digit: Callable[[Path], None]) -> None:
    corrupt(root, digit, (7,))
    missing = root / "imagenet-c" / "fog" / "3" / NAMES[7]
    (missing / "0.JPEG").rename(missing / "1.JPEG")
    with pytest.raises(DataError, match="imagenet-c/fog/3 is missing or holds other pictures than its neighbours"):
        loaded(root)


def test_a_folder_that_is_no_class_of_imagenet_is_refused(root: Path, digit: Callable[[Path], None]) -> None:
    digit(root / "imagenet-r" / "goldfish" / "0.jpg")
    with pytest.raises(DataError, match="imagenet-r/goldfish is none of ImageNet's classes"):
        loaded(root)
