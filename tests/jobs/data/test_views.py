"""Views: the transforms, mixtures and soft labels are timm's own, whatever is asked for."""

import random
from typing import Any

import numpy
import pytest
import torch
from PIL import Image
from timm.data.mixup import mixup_target
from timm.data.transforms_factory import create_transform
from torch import Tensor
from torchvision import transforms

from jobs.data import views
from jobs.data.views import View
from jobs.randomness import derive, lent

RECIPE = View(32, 0.08, 0.875, rand_augment="rand-m9-mstd0.5-inc1", color_jitter=0.4, erasing=0.25)


def picture() -> Image.Image:
    waves = numpy.random.default_rng(0).integers(0, 256, (40, 50, 3), "uint8")
    return Image.fromarray(waves).resize((100, 80), Image.Resampling.BICUBIC)


def seeded(value: int) -> None:
    random.seed(value)
    numpy.random.seed(value % 2**32)
    torch.manual_seed(value)


def test_training_is_the_transform_that_deit_asks_timm_for() -> None:
    theirs = create_transform(
        input_size=32,
        is_training=True,
        color_jitter=0.4,
        auto_augment="rand-m9-mstd0.5-inc1",
        interpolation="bicubic",
        re_prob=0.25,
        re_mode="pixel",
        re_count=1,
    )
    ours, seen = views.training(RECIPE), set()
    for place in range(12):
        with lent(0, "augment", place):
            found = ours(picture())
        seeded(derive(0, "augment", place))
        assert torch.equal(found, theirs(picture()))
        seen.add(found.numpy().tobytes())
    assert len(seen) == 12


def test_full_magnitude_posterizes_to_black_where_timm_alone_fails() -> None:
    def posterize(transform: transforms.Compose) -> Any:
        [augment] = [piece for piece in transform.transforms if hasattr(piece, "ops")]
        [found] = [op for op in augment.ops if op.name == "PosterizeIncreasing"]
        return found

    description = "rand-m10-p1-inc1"
    ours: Any = views.training(View(32, 0.5, rand_augment=description))
    assert posterize(ours)(picture()).getextrema() == ((0, 0),) * 3
    with pytest.raises(ValueError, match="bits must be"):  # once this passes, the cure can go
        posterize(create_transform(32, is_training=True, auto_augment=description))(picture())


def test_every_piece_of_the_recipe_is_there_in_its_order() -> None:
    def pieces(view: View) -> list[str]:
        whole = views.training(view)
        assert isinstance(whole, transforms.Compose)
        return [type(piece).__name__ for piece in whole.transforms]

    crop, flip = "RandomResizedCropAndInterpolation", "RandomHorizontalFlip"
    assert pieces(RECIPE) == [crop, flip, "RandAugment", "MaybeToTensor", "Normalize", "RandomErasing"]
    assert pieces(View(32, 0.5, color_jitter=0.4)) == [crop, flip, "ColorJitter", "MaybeToTensor", "Normalize"]
    assert pieces(View(32)) == ["Resize", "CenterCrop", "MaybeToTensor", "Normalize"]


def test_evaluation_resizes_the_shorter_side_and_takes_the_centre() -> None:
    bicubic = transforms.InterpolationMode.BICUBIC
    by_hand = transforms.Compose(
        [
            transforms.Resize(256, interpolation=bicubic),
            transforms.CenterCrop(224),
            transforms.ToTensor(),
            transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
        ]
    )
    assert torch.equal(views.evaluation(View(224, test_side=0.875))(picture()), by_hand(picture()))


def mixed(mixup: float, cutmix: float, smoothing: float, seed: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Pictures, classes, mixed pictures and soft labels."""
    pictures, labels = torch.randn(4, 3, 8, 8), torch.tensor([3, 1, 4, 1])
    mix = views.mixing(mixup, cutmix, smoothing, 5)
    assert mix is not None
    with lent(seed, "mix"):
        return pictures, labels, *mix(pictures.clone(), labels)


def test_mixup_weighs_pictures_and_labels_alike() -> None:
    for seed in range(8):
        pictures, labels, found, soft = mixed(0.8, 0.0, 0.1, seed)
        share = (soft[0, 3] - 0.02) / 0.9  # 1 - 0.1 + 0.1 / 5 on the class, 0.1 / 5 elsewhere
        torch.testing.assert_close(found, share * pictures + (1 - share) * pictures.flip(0))
        torch.testing.assert_close(soft, mixup_target(labels, 5, share, 0.1))
        torch.testing.assert_close(soft.sum(1), torch.ones(4))


def test_cutmix_weighs_labels_by_the_area_it_pastes() -> None:
    shares = []
    for seed in range(8):
        pictures, labels, found, soft = mixed(0.0, 1.0, 0.0, seed)
        pasted = (found != pictures).any(1)
        assert torch.equal(found, torch.where(pasted[:, None], pictures.flip(0), pictures))
        shares.append(1 - pasted[0].float().mean().item())
        torch.testing.assert_close(soft, mixup_target(labels, 5, shares[-1], 0.0))
    assert max(shares) - min(shares) > 0.4


def test_with_both_a_coin_decides_per_batch() -> None:
    cut = 0
    for seed in range(40):
        pictures, _, found, _ = mixed(0.8, 1.0, 0.1, seed)
        cut += bool(((found == pictures) | (found == pictures.flip(0))).all())
    assert 10 < cut < 30


def test_nothing_to_mix_is_no_mixing() -> None:
    assert views.mixing(0.0, 0.0, 0.1, 5) is None


def test_what_is_lent_comes_back_as_it_was() -> None:
    seeded(5)
    expected = random.random(), numpy.random.rand(), torch.rand(2).tolist()
    seeded(5)
    with pytest.raises(RuntimeError), lent(0, "augment"):
        views.training(RECIPE)(picture())
        raise RuntimeError
    assert (random.random(), numpy.random.rand(), torch.rand(2).tolist()) == expected


@pytest.mark.parametrize("description", ["rand-m9-zoom3", "m9", "rand-mstd", "rand-m9-tnone", "rand-m9-x"])
def test_a_description_that_timm_does_not_understand_is_refused(description: str) -> None:
    with pytest.raises(ValueError, match=f"timm understands no rand_augment '{description}'"):
        views.expect_rand_augment(description)


@pytest.mark.parametrize("description", ["rand-m9-mstd0.5-inc1", "rand-m7-n3-tweights"])
def test_a_description_that_timm_understands_is_taken(description: str) -> None:
    views.expect_rand_augment(description)
