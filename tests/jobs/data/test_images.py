"""Pictures: what is read, how it is cut, and that augmentation draws from what it was lent only."""

import dataclasses
import functools
from pathlib import Path

import pytest
import torch
from PIL import Image

from jobs.data import digits, images
from jobs.data.views import View
from jobs.errors import DataError
from jobs.randomness import lent

VIEW = View(size=16, train_area=0.3)
PLAIN = dataclasses.replace(VIEW, train_area=1.0)
COLOURS = {"ant": (250, 20, 20), "bee": (20, 250, 20), "cat": (20, 20, 250)}


def paint(place: Path, part: str, *, each: int, names: tuple[str, ...] = tuple(COLOURS)) -> None:
    """Write `each` pictures per class, 24 wide and 20 high, dark at the left and brighter for a higher number."""
    for name in names:
        (place / part / name).mkdir(parents=True)
        for number in range(each):
            picture = Image.new("RGB", (24, 20), COLOURS[name])
            picture.paste((10 * number, 0, 0), (0, 0, 8, 20))
            picture.save(place / part / name / f"{number}.png")


@pytest.fixture
def zoo(tmp_path: Path) -> Path:
    paint(tmp_path / "zoo", "train", each=4)
    paint(tmp_path / "zoo", "val", each=2)
    return tmp_path


def drawn(pictures: images.Pictures, index: int, *place: int) -> images.Sample:
    """A training picture, augmented at a place of its own."""
    with lent(0, "augment", *place):
        return pictures.train(index)


def read(root: Path, view: View = VIEW, name: str = "imagefolder") -> tuple[images.Pictures, str]:
    return images.load(name, "zoo", root, view)


def test_digits_are_split_without_overlap_or_loss() -> None:
    pictures, _ = images.load("digits", "digits", None, dataclasses.replace(PLAIN, size=8))
    counts = {part: pictures.count(part) for part in ("train", "val", "test")}
    assert counts == {"train": 1197, "val": 150, "test": 450}
    seen = [pictures.plain(part, index) for part, count in counts.items() for index in range(count)]
    assert len({picture.numpy().tobytes() for picture, _ in seen}) == 1797
    assert {label for _, label in seen} == set(range(10))


def test_digits_are_enlarged_and_normalised() -> None:
    pictures, _ = images.load("digits", "digits", None, PLAIN)
    stack, _ = images.collect(pictures.plain("train", index) for index in range(1197))
    assert stack.shape == (1197, 1, 16, 16)
    torch.testing.assert_close(torch.stack([stack.mean(), stack.std()]), torch.tensor([0.0, 1.0]), atol=1e-4, rtol=0)


def test_digits_refuse_colours() -> None:
    with pytest.raises(DataError, match="rand_augment and color_jitter need a folder of images"):
        digits.load(View(16, rand_augment="rand-m9"))


def test_digits_are_erased_by_noise() -> None:
    pictures, _ = images.load("digits", "digits", None, View(16, erasing=0.999))
    plain, _ = pictures.plain("train", 3)
    erased, _ = drawn(pictures, 3, 0)
    share = (erased != plain).float().mean().item()
    assert 0.01 < share < 0.4
    assert torch.equal(pictures.plain("train", 3)[0], plain)


def test_digits_and_their_digest_do_not_depend_on_the_global_random_stream() -> None:
    torch.manual_seed(1)
    first, digest = images.load("digits", "digits", None, PLAIN)
    torch.manual_seed(2)
    second, again = images.load("digits", "digits", None, PLAIN)
    assert digest == again
    assert torch.equal(first.plain("test", 7)[0], second.plain("test", 7)[0])


def test_a_shifted_digit_keeps_its_pixels() -> None:
    pictures, _ = images.load("digits", "digits", None, VIEW)
    plain, label = pictures.plain("train", 3)
    shifted = [drawn(pictures, 3, epoch, 3) for epoch in range(20)]
    assert {found for _, found in shifted} == {label}
    inner = plain[:, 4:12, 4:12]
    places = {
        (top, left)
        for picture, _ in shifted
        for top in range(5)
        for left in range(5)
        if torch.equal(picture[:, 2 + top : 10 + top, 2 + left : 10 + left], inner)
    }
    assert len(places) > 5


def test_a_folder_is_read_by_class_and_val_stands_in_for_a_missing_test_part(zoo: Path) -> None:
    pictures, _ = read(zoo)
    assert (pictures.classes, pictures.channels) == (3, 3)
    assert [pictures.count(part) for part in ("train", "val", "test")] == [12, 6, 6]
    assert [pictures.plain("test", index)[1] for index in range(6)] == [0, 0, 1, 1, 2, 2]
    paint(zoo / "zoo", "test", each=1)
    assert read(zoo)[0].count("test") == 3


def test_evaluation_takes_the_central_square(zoo: Path) -> None:
    picture, _ = read(zoo)[0].plain("val", 0)
    dark = (picture[2] < 0).float().mean(0)  # blue is -2 where the bar is, pixels 2 to 8 of 20, and -1.6 in an ant
    assert picture.shape == (3, 16, 16)
    red = picture[0]
    assert (red[:, :4] < -2).all() and (red[:, 6:] > 2).all() and dark.shape == (16,)


def test_augmentation_is_a_pure_function_of_what_it_is_lent(zoo: Path) -> None:
    pictures, _ = read(zoo)
    before = torch.get_rng_state()
    one, _ = drawn(pictures, 5, 2, 5)
    same, _ = drawn(pictures, 5, 2, 5)
    other, _ = drawn(pictures, 5, 3, 5)
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    assert torch.equal(torch.get_rng_state(), before)


def test_about_half_of_the_crops_are_flipped(zoo: Path) -> None:
    pictures, _ = read(zoo, dataclasses.replace(VIEW, train_area=0.99))
    reds = [drawn(pictures, 3, index)[0][0] for index in range(60)]
    left = sum(bool(red[:, 0].mean() < red[:, -1].mean()) for red in reds)
    assert 15 < left < 45


def test_without_augmentation_training_sees_what_evaluation_sees(zoo: Path) -> None:
    pictures, _ = read(zoo, PLAIN)
    assert torch.equal(pictures.train(4)[0], pictures.plain("train", 4)[0])


def test_data_loading_processes_read_what_one_process_reads(zoo: Path) -> None:
    pictures, _ = read(zoo)
    reading = images.Reading(functools.partial(pictures.plain, "train"), [range(5), range(5, 12)])
    before = torch.get_rng_state()
    for alone, apart in zip(reading.loaded(0), reading.loaded(2), strict=True):
        assert torch.equal(alone[0], apart[0]) and torch.equal(alone[1], apart[1])
    assert torch.equal(torch.get_rng_state(), before)


def test_the_digest_changes_with_a_picture_or_its_class_and_not_with_the_place(zoo: Path, tmp_path: Path) -> None:
    _, digest = read(zoo)
    (tmp_path / "elsewhere").mkdir()
    place = (zoo / "zoo").rename(tmp_path / "elsewhere" / "zoo")
    assert read(tmp_path / "elsewhere")[1] == digest
    picture = place / "val" / "cat" / "1.png"
    picture.write_bytes(picture.read_bytes()[::-1])
    _, changed = read(tmp_path / "elsewhere")
    assert changed != digest
    for part in ("train", "val"):
        (place / part / "cat").rename(place / part / "cow")
    assert read(tmp_path / "elsewhere")[1] not in (digest, changed)


def test_indices_are_spread_over_all_classes() -> None:
    assert images.spread(100, 4) == [0, 25, 50, 75]
    assert images.spread(3, 8) == [0, 1, 2]


def test_no_data_root_says_what_to_point_to() -> None:
    with pytest.raises(DataError, match=r"tiny-imagenet-100: no data root. Point --data to the folder that holds"):
        images.load("tiny-imagenet-100", "tiny-imagenet-100", None, VIEW)


def test_a_packed_data_set_says_how_to_unpack_it(tmp_path: Path) -> None:
    (tmp_path / "tiny-imagenet-100.tar").write_bytes(b"")
    with pytest.raises(DataError, match=r"still packed. Unpack it: tar -xf .*tiny-imagenet-100.tar -C "):
        images.load("tiny-imagenet-100", "tiny-imagenet-100", tmp_path, VIEW)


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"imagenet does not exist. Point --data"):
        images.load("imagenet", "imagenet", tmp_path, VIEW)


def test_imagefolder_needs_its_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="imagefolder needs the argument `folder`"):
        images.load("imagefolder", "", tmp_path, VIEW)


def test_another_number_of_classes_is_refused(zoo: Path) -> None:
    with pytest.raises(DataError, match="has 3 classes; 1000 were expected"):
        read(zoo, name="imagenet")


def test_parts_with_different_classes_are_refused(zoo: Path) -> None:
    paint(zoo / "zoo", "test", each=1, names=("ant", "bee"))
    with pytest.raises(DataError, match="test and train do not hold the same classes; 'cat' is in one only"):
        read(zoo)


def test_a_class_without_pictures_is_refused(zoo: Path) -> None:
    (zoo / "zoo" / "train" / "dog").mkdir()
    with pytest.raises(DataError, match=r"is not a folder of class folders with images.*dog"):
        read(zoo)


def test_a_damaged_picture_is_named(zoo: Path) -> None:
    (zoo / "zoo" / "train" / "ant" / "0.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"ant/0.png cannot be read as an image"):
        read(zoo)[0].plain("train", 0)
