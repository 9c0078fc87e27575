"""Pictures with labels: what is drawn, what is read, what is refused."""

import random
from pathlib import Path

import numpy
import pytest
from PIL import Image

from jobs.errors import DataError
from jobs.hosts import scenes
from jobs.randomness import lent, seed_all

VIEW = scenes.View(crop=16, short_side=16)


def camvid(root: Path, *, side: int = 16) -> Path:
    """Three parts of two pictures each; the left half is labelled 0 to 4, the right half void."""
    rng = numpy.random.default_rng(0)
    for part in scenes.PARTS:
        for folder in (part, f"{part}annot"):
            (root / "CamVid" / folder).mkdir(parents=True)
        for name in ("a", "b"):
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


def test_a_scene_is_a_function_of_its_part_and_index() -> None:
    image, labels = scenes.draw("train", 7)
    seed_all(99)
    again, same = scenes.draw("train", 7)
    assert numpy.array_equal(image, again) and numpy.array_equal(labels, same)
    assert not numpy.array_equal(image, scenes.draw("train", 8)[0])
    assert not numpy.array_equal(image, scenes.draw("val", 7)[0])


def test_a_scene_shows_a_digit_wherever_its_label_says_so() -> None:
    inks, targets = scenes._digits()
    image, labels = scenes.draw("test", 0)
    tiles = labels.reshape(4, 8, 4, 8).transpose(0, 2, 1, 3).reshape(16, 64)
    assert all(len(set(tile)) == 1 for tile in tiles)
    shown = [tile for tile in range(16) if tiles[tile][0]]
    assert 4 <= len(shown) <= 12
    part = slice(1450, None)
    for tile in shown:
        top, left = (8 * place for place in divmod(tile, 4))
        brightness = image[top : top + 8, left : left + 8].mean(-1)
        candidates = inks[part][targets[part] == tiles[tile][0] - 1]
        fits = [numpy.corrcoef(brightness.ravel(), ink.ravel())[0, 1] for ink in candidates]
        assert max(fits) > 0.97


def test_no_digit_serves_two_parts() -> None:
    used = [set(range(*scenes._DIGITS[part].indices(1797))) for part in scenes.PARTS]
    assert sum(map(len, used)) == len(set().union(*used)) == 1797


def test_augmentation_depends_on_seed_epoch_and_index_alone() -> None:
    parts = scenes.load("scenes", None, scenes.View(crop=32, short_side=32))

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
    parts = scenes.load("camvid", camvid(tmp_path), VIEW)
    assert (parts.classes, len(parts.train), len(parts.val), len(parts.test)) == (11, 2, 2, 2)
    sample = parts.test[0]
    labels = sample["data_samples"].gt_sem_seg.data[0]
    assert sample["inputs"].shape == (3, 16, 16)
    assert labels[:, :8].max() <= 4 and (labels[:, 8:] == scenes.IGNORED).all()
    for index in range(2):
        assert max(parts.train[index]["inputs"].shape[1:]) <= 16


def test_evaluation_keeps_the_labels_at_their_own_size(tmp_path: Path) -> None:
    sample = scenes.load("camvid", camvid(tmp_path, side=40), VIEW).val[0]
    assert sample["inputs"].shape == (3, 16, 16)
    assert sample["data_samples"].gt_sem_seg.data.shape == (1, 40, 40)
    assert sample["data_samples"].ori_shape == (40, 40)


def test_ade20k_ignores_label_zero_and_counts_from_one(tmp_path: Path) -> None:
    parts = scenes.load("ade20k", ade20k(tmp_path), VIEW)
    assert parts.classes == 150
    labels = parts.val[0]["data_samples"].gt_sem_seg.data[0]
    assert labels[0].tolist() == [255] * 10 + [0] * 10 + [149] * 10


def test_the_digest_names_the_files(tmp_path: Path) -> None:
    root = camvid(tmp_path)
    digest = scenes.load("camvid", root, VIEW).digest
    assert scenes.load("camvid", root, scenes.View(crop=8, short_side=8)).digest == digest
    (root / "CamVid" / "train" / "a.jpg").rename(root / "CamVid" / "train" / "c.jpg")
    (root / "CamVid" / "trainannot" / "a.png").rename(root / "CamVid" / "trainannot" / "c.png")
    assert scenes.load("camvid", root, VIEW).digest != digest


def test_missing_data_are_named_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"camvid.* point --data to the folder that holds CamVid/"):
        scenes.load("camvid", None, VIEW)
    with pytest.raises(DataError, match=r"CamVid/train is missing. Point --data to the folder above CamVid/"):
        scenes.load("camvid", tmp_path, VIEW)
    (tmp_path / "CamVid.tar").touch()
    with pytest.raises(DataError, match=r"CamVid.tar has not been unpacked; unpack it there"):
        scenes.load("camvid", tmp_path, VIEW)


def test_a_picture_without_labels_is_named(tmp_path: Path) -> None:
    root = camvid(tmp_path)
    (root / "CamVid" / "valannot" / "b.png").unlink()
    with pytest.raises(DataError, match=r"valannot/b.png is missing, so .*val/b.jpg has no labels."):
        scenes.load("camvid", root, VIEW)


def test_a_part_without_pictures_is_named(tmp_path: Path) -> None:
    root = camvid(tmp_path)
    for path in (root / "CamVid" / "test").iterdir():
        path.unlink()
    with pytest.raises(DataError, match=r"CamVid/test is empty. Point --data to"):
        scenes.load("camvid", root, VIEW)
