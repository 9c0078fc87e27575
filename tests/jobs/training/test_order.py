"""Data order and random streams."""

import random

import numpy
import torch

from jobs import randomness
from jobs.training.order import Order


def test_an_epoch_visits_every_sample_once() -> None:
    batches = list(Order(10, 5, seed=0, start=0, stop=2))
    assert sorted(index for batch in batches for _, index in batch) == list(range(10))


def test_epochs_are_shuffled_differently_and_counted() -> None:
    first, second = Order(10, 10, seed=0, start=0, stop=2)
    assert [index for _, index in first] != [index for _, index in second]
    assert {epoch for epoch, _ in second} == {1}


def test_resuming_in_the_middle_gives_the_same_batches() -> None:
    whole = list(Order(7, 3, seed=1, start=0, stop=9))
    assert list(Order(7, 3, seed=1, start=4, stop=9)) == whole[4:]


def test_the_order_leaves_the_global_stream_alone() -> None:
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    list(Order(7, 3, seed=1, start=0, stop=9))
    assert torch.equal(torch.rand(3), expected)


def test_restoring_undoes_every_draw() -> None:
    randomness.seed_all(3, "here")
    random.random(), numpy.random.rand(), torch.rand(1)
    saved = randomness.state()
    expected = random.random(), numpy.random.randn(), torch.rand(1)
    randomness.restore(saved)
    assert (random.random(), numpy.random.randn(), torch.rand(1)) == expected


def test_derived_seeds_stay_what_they_were() -> None:
    assert randomness.derive(0, "weights") == randomness.derive(0, "weights")
    assert randomness.derive(0, "weights") != randomness.derive(1, "weights")
    assert randomness.derive(0, "variant", 1) == 7114055140922476503


def test_repeated_samples_come_in_rounds_of_their_own() -> None:
    first, second = Order(9, 9, seed=0, start=0, stop=2, repeats=3)
    assert [index for _, index in first] == [index for _, index in first[::3] for _ in range(3)]
    assert [place for place, _ in first] == [0, 1, 2] * 3
    assert [place for place, _ in second] == [3, 4, 5] * 3
    assert len(set(first + second)) == 18
