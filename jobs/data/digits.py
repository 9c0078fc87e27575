"""scikit-learn's handwritten digits, enlarged; training shifts them by up to an eighth of their side.

Source: Alpaydin, Kaynak, "Optical Recognition of Handwritten Digits", UCI, 1998 (1,797 digits of 13 writers).
"""

import torch
from sklearn.datasets import load_digits
from torch import Tensor
from torch.nn.functional import interpolate, pad

from jobs.data import views
from jobs.data.views import View
from jobs.errors import DataError
from jobs.provenance import digest_bytes
from jobs.randomness import generator

_HELD_OUT = {"val": 150, "test": 450}
"""Digits that do not train."""


class Digits:
    """The digits at the view's size, one channel."""

    classes, channels = 10, 1

    def __init__(self, pictures: dict[str, Tensor], labels: dict[str, list[int]], view: View) -> None:
        self.pictures, self.labels, self.view = pictures, labels, view
        self._erase = views.erasing(view)

    def count(self, part: str) -> int:
        return len(self.labels[part])

    def train(self, index: int) -> tuple[Tensor, int]:
        picture, label = self.plain("train", index)
        reach = self.view.size // 8 if self.view.train_area < 1 else 0
        top, left = torch.randint(2 * reach + 1, (2,)).tolist()
        blank = picture.min().item()
        wide = pad(picture, (reach, reach, reach, reach), value=blank)
        return self._erase(wide[:, top : top + self.view.size, left : left + self.view.size]), label

    def plain(self, part: str, index: int) -> tuple[Tensor, int]:
        return self.pictures[part][index], self.labels[part][index]


def load(view: View) -> tuple[Digits, str]:
    """The digits and their digest.

    Raises:
        DataError: the view asks for colours.
    """
    if view.recolours:
        raise DataError("The digits are grey and small: rand_augment and color_jitter need a folder of images.")
    found = load_digits()
    raw, labels = torch.from_numpy(found.images).float()[:, None] / 16, torch.from_numpy(found.target)
    order = torch.randperm(len(labels), generator=generator(0, "digits"))
    held_out = sum(_HELD_OUT.values())
    parts = dict(zip(("train", *_HELD_OUT), order.split([len(order) - held_out, *_HELD_OUT.values()]), strict=True))
    size = (view.size, view.size)
    large = interpolate(raw, size, mode="bilinear", align_corners=False)
    train = large[parts["train"]]
    large = (large - train.mean()) / train.std()
    digest = digest_bytes(*(array.numpy().tobytes() for array in (raw, labels, order)))
    pictures = {part: large[chosen] for part, chosen in parts.items()}
    return Digits(pictures, {part: labels[chosen].tolist() for part, chosen in parts.items()}, view), digest
