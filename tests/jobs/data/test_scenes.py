"""Scenes: what is drawn."""

import numpy

from jobs.data import scenes
from jobs.randomness import seed_all


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
