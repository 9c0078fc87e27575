"""How a picture becomes a network's input: timm's own transforms, mixup and cutmix.

    training    random resized crop, flip, RandAugment or colour jitter, normalise, erase      (bicubic)
    evaluation  resize the shorter side to size / test_side, central square of `size`, normalise

timm's transforms take no generator. They draw from the global streams of Python, NumPy and torch, which the caller
lends them sample by sample (`jobs.randomness.lent`).

Source: Touvron et al., "Training data-efficient image transformers & distillation through attention", ICML 2021, and
the authors' settings: rand-m9-mstd0.5-inc1, erasing 0.25 with noise, mixup 0.8, cutmix 1.0, one of the two per batch.
"""

import dataclasses
import itertools
import re
from collections.abc import Callable
from typing import Any

from PIL import Image
from timm.data import auto_augment
from timm.data.mixup import Mixup
from timm.data.random_erasing import RandomErasing
from timm.data.transforms_factory import create_transform
from torch import Tensor

_SECTION = re.compile(r"(m|n|p|mstd|mmax|inc)[0-9.]+|tweights|t3aw?")
Transform = Callable[[Any], Tensor]
"""A PIL picture in; (channels, size, size) out, normalised."""


@dataclasses.dataclass(frozen=True)
class View:
    """How a picture is cut and what training does to it; the first is its side in pixels."""

    size: int
    train_area: float = 1.0  # smallest share of the area in a training crop, in (0, 1]
    test_side: float = 1.0  # share of the shorter side in the central crop of evaluation, in (0, 1]
    rand_augment: str = ""  # timm's description of a RandAugment, such as rand-m9-mstd0.5-inc1
    color_jitter: float = 0.0  # strength in brightness, contrast and saturation; timm leaves it out under RandAugment
    erasing: float = 0.0  # probability of replacing a rectangle by noise

    @property
    def recolours(self) -> bool:
        """Whether training needs pictures in colour."""
        return bool(self.rand_augment or self.color_jitter)

    @property
    def augments(self) -> bool:
        """Whether training sees something else than evaluation."""
        return self.train_area < 1 or self.recolours or self.erasing > 0


def training(view: View) -> Transform:
    """timm's training transform, drawing from the global streams; evaluation's where `view` augments nothing."""
    if not view.augments:
        return evaluation(view)
    whole: Any = create_transform(
        view.size,
        is_training=True,
        scale=(view.train_area, 1.0),
        auto_augment=view.rand_augment or None,
        color_jitter=view.color_jitter or None,  # type: ignore[arg-type]  # None leaves it out
        interpolation="bicubic",
        re_prob=view.erasing,
        re_mode="pixel",
    )
    for operation in itertools.chain.from_iterable(getattr(piece, "ops", ()) for piece in whole.transforms):
        if operation.aug_fn is auto_augment.posterize:
            operation.aug_fn = _posterized
    return whole


def _posterized(picture: Image.Image, bits: int, **options: Any) -> Image.Image:
    """timm's posterize; full magnitude keeps 0 bits, which is black, and which Pillow refuses from version 13 on."""
    return auto_augment.posterize(picture, bits, **options) if bits else Image.new(picture.mode, picture.size)


def evaluation(view: View) -> Transform:
    """timm's evaluation transform; it draws nothing."""
    return create_transform(view.size, crop_pct=view.test_side, interpolation="bicubic")


def erasing(view: View) -> Callable[[Tensor], Tensor]:
    """timm's random erasing alone, in place on one normalised picture; draws from the global streams."""
    return RandomErasing(view.erasing, mode="pixel", device="cpu")


def mixing(mixup: float, cutmix: float, label_smoothing: float, classes: int) -> Mixup | None:
    """timm's mixup or cutmix of a batch with its own reverse, drawing from NumPy's global stream; None if both are 0.

    Pictures (B, channels, size, size) and classes (B,) in, B even; mixed in place, with smoothed soft labels
    (B, classes) out. Every batch is mixed; where both are on, a coin decides between them.
    """
    if not mixup and not cutmix:
        return None
    return Mixup(mixup, cutmix, label_smoothing=label_smoothing, num_classes=classes)


def expect_rand_augment(description: str) -> None:
    """Raise ValueError unless timm understands `description`, all of it: timm itself passes over what it does not."""
    name, *sections = description.split("-")
    try:
        if name != "rand" or not all(map(_SECTION.fullmatch, sections)):
            raise AssertionError("it is `rand`, then sections such as m9, n2, mstd0.5, inc1, tweights")
        auto_augment.rand_augment_transform(description, {})
    except (AssertionError, ValueError) as error:
        raise ValueError(
            f"timm understands no rand_augment {description!r}: {error}. DeiT's is rand-m9-mstd0.5-inc1."
        ) from error
