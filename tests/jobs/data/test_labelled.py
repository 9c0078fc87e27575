"""Pictures with labels: what is read, what is refused."""

import os
import random
from pathlib import Path
from typing import Any

import numpy
import pytest
import torch
from PIL import Image

from jobs.data import labelled
from jobs.errors import DataError
from jobs.randomness import lent
from jobs.tasks.segmentation import Segmentation
from jobs.variants.softmax import Softmax

VIEW = labelled.View(crop=16, short_side=16)


def camvid(root: Path, *, side: int = 16, names: str = "ab") -> Path:
    """Three parts with a picture for each of `names`; the left half is labelled 0 to 4, the right half void."""
    rng = numpy.random.default_rng(0)
    for part in labelled.PARTS:
        for folder in (part, f"{part}annot"):
            (root / "CamVid" / folder).mkdir(parents=True)
        for name in names:
            picture = rng.integers(0, 256, (side, side, 3), dtype=numpy.uint8)
            labels = rng.integers(0, 5, (side, side), dtype=numpy.uint8)
            labels[:, side // 2 :] = 11
            Image.fromarray(picture).save(root / "CamVid" / part / f"{name}.jpg")
            Image.fromarray(labels).save(root / "CamVid" / f"{part}annot" / f"{name}.png")
    return root


def ade20k(root: Path) -> Path:
    folder = root / "ADEChallengeData2016"
    for part in ("training", "validation"):
        for kind in ("images", "annotations"):
            (folder / kind / part).mkdir(parents=True)
        Image.fromarray(numpy.full((20, 30, 3), 90, numpy.uint8)).save(folder / "images" / part / "a.jpg")
        labels = numpy.repeat(numpy.array([0, 1, 150], numpy.uint8), 10)[None].repeat(20, 0)
        Image.fromarray(labels).save(folder / "annotations" / part / "a.png")
    return root


def test_augmentation_depends_on_seed_epoch_and_index_alone() -> None:
    parts = labelled.load("scenes", None, labelled.View(crop=32, short_side=32))

    def picture(*place: int) -> bytes:
        with lent(0, "augment", *place):
            return parts.train[3]["inputs"].numpy().tobytes()  # type: ignore[no-any-return]

    random.seed(1)
    numpy.random.seed(1)
    first = picture(0, 3)
    before = random.random(), numpy.random.random()
    random.seed(1)
    numpy.random.seed(1)
    assert before == (random.random(), numpy.random.random()), "the global streams moved"
    numpy.random.seed(2)
    assert picture(0, 3) == first
    assert picture(1, 3) != first


def test_void_is_ignored_and_photographs_are_cropped(tmp_path: Path) -> None:
    parts = labelled.load("camvid", camvid(tmp_path), VIEW)
    assert (parts.classes, len(parts.train), len(parts.val), len(parts.test)) == (11, 2, 2, 2)
    sample = parts.test[0]
    labels = sample["data_samples"].gt_sem_seg.data[0]
    assert sample["inputs"].shape == (3, 16, 16)
    assert labels[:, :8].max() <= 4 and (labels[:, 8:] == labelled.IGNORED).all()
    for index in range(2):
        assert max(parts.train[index]["inputs"].shape[1:]) <= 16


def test_evaluation_keeps_the_labels_at_their_own_size(tmp_path: Path) -> None:
    sample = labelled.load("camvid", camvid(tmp_path, side=40), VIEW).val[0]
    assert sample["inputs"].shape == (3, 16, 16)
    assert sample["data_samples"].gt_sem_seg.data.shape == (1, 40, 40)
    assert sample["data_samples"].ori_shape == (40, 40)


def test_ade20k_ignores_label_zero_and_counts_from_one(tmp_path: Path) -> None:
    parts = labelled.load("ade20k", ade20k(tmp_path), VIEW)
    assert parts.classes == 150
    labels = parts.val[0]["data_samples"].gt_sem_seg.data[0]
    assert labels[0].tolist() == [255] * 10 + [0] * 10 + [149] * 10


def test_the_published_sample_of_ade20k_trains_and_counts_from_one() -> None:
    """Three real pictures a part; label 0 of a stored map, "other", is ignored, and 1 to 150 become 0 to 149."""
    root = Path(os.environ.get("UNSMOOTH_DATA", "no-data"))
    if not (root / "ADEChallengeData2016").is_dir():
        pytest.skip("UNSMOOTH_DATA names no folder with ADEChallengeData2016/ in it")
    task = Segmentation(crop=64, short_side=64, stride=48, patch=16, width=24, depth=2, heads=2)
    task.load("ade20k", "default", root, 0)
    for index in range(3):
        entry = task._parts.test.get_data_info(index)
        stored = numpy.asarray(Image.open(entry["seg_map_path"])).astype(int)
        labels = task._parts.test[index]["data_samples"].gt_sem_seg.data[0].numpy()
        assert numpy.array_equal(labels, numpy.where(stored == 0, 255, stored - 1))
    torch.manual_seed(0)
    model: Any = task.build(Softmax)
    optimizer, batch = task.optimizer(model), task.batch([(0, index) for index in range(task.samples())])
    losses = []
    for _ in range(6):
        optimizer.zero_grad()
        loss = task.loss(model, batch)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    model.eval()
    with torch.no_grad():
        assert 0 <= task.evaluate(model, "test", lambda: None)["mIoU"] <= 100


def test_the_digest_names_the_files(tmp_path: Path) -> None:
    root = camvid(tmp_path)
    digest = labelled.load("camvid", root, VIEW).digest
    assert labelled.load("camvid", root, labelled.View(crop=8, short_side=8)).digest == digest
    (root / "CamVid" / "train" / "a.jpg").rename(root / "CamVid" / "train" / "c.jpg")
    (root / "CamVid" / "trainannot" / "a.png").rename(root / "CamVid" / "trainannot" / "c.png")
    assert labelled.load("camvid", root, VIEW).digest != digest


def test_missing_data_are_named_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"camvid.* point --data to the folder that holds CamVid/"):
        labelled.load("camvid", None, VIEW)
    with pytest.raises(DataError, match=r"CamVid/train is missing. Point --data to the folder above CamVid/"):
        labelled.load("camvid", tmp_path, VIEW)
    (tmp_path / "CamVid.tar").touch()
    with pytest.raises(DataError, match=r"CamVid.tar has not been unpacked; unpack it there"):
        labelled.load("camvid", tmp_path, VIEW)


def test_a_picture_without_labels_is_named(tmp_path: Path) -> None:
    root = camvid(tmp_path)
    (root / "CamVid" / "valannot" / "b.png").unlink()
    with pytest.raises(DataError, match=r"valannot/b.png is missing, so .*val/b.jpg has no labels."):
        labelled.load("camvid", root, VIEW)


def test_a_part_without_pictures_is_named(tmp_path: Path) -> None:
    root = camvid(tmp_path)
    for path in (root / "CamVid" / "test").iterdir():
        path.unlink()
    with pytest.raises(DataError, match=r"CamVid/test is empty. Point --data to"):
        labelled.load("camvid", root, VIEW)
