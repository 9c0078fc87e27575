"""Layouts that publishers have and loaders do not."""

import io
from pathlib import Path

import numpy
import pytest
from scipy.io import savemat

from suite.data import arrange
from suite.data.sets import Archive, Published
from suite.errors import DataSetError
from tests.suite.data.packing import PICTURE, tar, tree, zipped

CLASSES = ("n00000001", "n00000002", "n00000003")


def archive(layout: str | None = None, below: str | None = None) -> Archive:
    return Archive(file=Published(name="published.tar"), arrange=layout, below=below)


def tiny(path: Path) -> Path:
    """Tiny ImageNet with three classes of 151 training and four validation pictures."""
    members = {f"t/train/{name}/images/{name}_{number}.JPEG": PICTURE for name in CLASSES for number in range(151)}
    members |= {f"t/train/{name}/{name}_boxes.txt": b"" for name in CLASSES}
    lines = []
    for number in range(90):
        members[f"t/val/images/val_{number}.JPEG"] = PICTURE
        lines.append(f"val_{number}.JPEG\t{CLASSES[number % 3]}\t0\t0\t9\t9\n")
    members |= {"t/val/val_annotations.txt": "".join(lines).encode(), "t/test/images/test_0.JPEG": PICTURE}
    return zipped(path, members)


def devkit(path: Path) -> Path:
    """The development kit with three classes and a node of the hierarchy above them."""
    fields = [("ILSVRC2012_ID", "O"), ("WNID", "O"), ("words", "O"), ("gloss", "O"), ("num_children", "O")]
    rows = [(number + 1, name, "w", "g", 0) for number, name in enumerate(CLASSES)]
    table = numpy.array([*rows, (4, "n00000009", "w", "g", 3)], dtype=fields)
    meta = io.BytesIO()
    savemat(meta, {"synsets": table})
    truth = b"3\n1\n2\n3\n"
    names = {"data/meta.mat": meta.getvalue(), "data/ILSVRC2012_validation_ground_truth.txt": truth}
    return tar(path, {f"ILSVRC2012_devkit_t12/{name}": content for name, content in names.items()}, mode="w:gz")


def test_what_is_below_the_named_folder_becomes_the_data_set(tmp_path: Path) -> None:
    path = tar(tmp_path / "a.tar", {"repo/CamVid/train/a.png": PICTURE, "repo/README.md": b""})
    arrange.place(archive(below="CamVid"), path, tmp_path / "out", {})
    assert tree(tmp_path / "out") == ["train/a.png"]


def test_an_archive_of_something_else_is_told(tmp_path: Path) -> None:
    path = tar(tmp_path / "a.tar", {"Other/train/a.png": PICTURE})
    with pytest.raises(DataSetError, match=r"holds nothing of what is needed; it is not published\.tar"):
        arrange.place(archive(below="CamVid"), path, tmp_path / "out", {})


def test_tiny_imagenets_validation_pictures_are_sorted_by_their_annotations(tmp_path: Path) -> None:
    arrange.place(archive("tiny-imagenet"), tiny(tmp_path / "a.zip"), tmp_path / "out", {})
    found = tree(tmp_path / "out")
    assert (len(found), len([path for path in found if path.startswith("train/")])) == (3 * 151 + 90, 3 * 151)
    assert {path for path in found if path.endswith(("val_0.JPEG", "val_4.JPEG"))} == {
        "val/n00000001/val_0.JPEG",
        "val/n00000002/val_4.JPEG",
    }


def test_every_second_class_of_tiny_imagenet_with_its_validation_halved_by_number(tmp_path: Path) -> None:
    arrange.place(archive("tiny-imagenet-100"), tiny(tmp_path / "a.zip"), tmp_path / "out", {})
    found = tree(tmp_path / "out")
    assert {path.split("/")[1] for path in found} == {"n00000001", "n00000003"}
    assert len([path for path in found if path.startswith("train/n00000001")]) == 150
    assert "train/n00000001/n00000001_150.JPEG" not in found
    assert [path for path in found if path.startswith("test/n00000001")] == [
        f"test/n00000001/val_{number}.JPEG" for number in (75, 78, 81, 84, 87)
    ]


def test_imagenets_validation_pictures_are_sorted_by_the_development_kit(tmp_path: Path) -> None:
    pictures = {f"ILSVRC2012_val_{number:08d}.JPEG": PICTURE for number in range(1, 5)}
    kit, path = devkit(tmp_path / "kit.tar.gz"), tar(tmp_path / "val.tar", pictures)
    arrange.place(archive("imagenet-devkit"), kit, tmp_path / "out", {})
    arrange.place(archive("imagenet-val"), path, tmp_path / "out", {"imagenet-devkit": kit})
    assert tree(tmp_path / "out") == [
        "val/n00000001/ILSVRC2012_val_00000002.JPEG",
        "val/n00000002/ILSVRC2012_val_00000003.JPEG",
        "val/n00000003/ILSVRC2012_val_00000001.JPEG",
        "val/n00000003/ILSVRC2012_val_00000004.JPEG",
    ]


def test_imagenets_training_archive_holds_one_archive_per_class(tmp_path: Path) -> None:
    inner = {f"{name}.tar": tar(tmp_path / name, {f"{name}_7.JPEG": PICTURE}).read_bytes() for name in CLASSES}
    arrange.place(archive("imagenet-train"), tar(tmp_path / "train.tar", inner), tmp_path / "out", {})
    assert tree(tmp_path / "out") == [f"train/{name}/{name}_7.JPEG" for name in CLASSES]


def test_a_damaged_class_in_imagenets_training_archive_is_told(tmp_path: Path) -> None:
    outer = tar(tmp_path / "train.tar", {"n00000001.tar": b"no archive"})
    with pytest.raises(DataSetError, match="It is damaged: download it again"):
        arrange.place(archive("imagenet-train"), outer, tmp_path / "out", {})
