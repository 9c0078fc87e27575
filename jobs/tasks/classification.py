"""Image classification with a vision transformer of timm: every epoch a new crop, AdamW, warm-up and cosine."""

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from jobs.api import Dataset, Draw, Metric, Plug, Task
from jobs.errors import DataError
from jobs.randomness import generator

_FAMILIAR = tuple(f"deit_{size}_patch16_224" for size in ("tiny", "small", "base"))
"""Model names known without asking timm, which is slow to import."""
_EVALUATED = 128
_PROBED = 32
_LR_BATCH = 512
_TIMM_POSITION_STD = 0.02


class Classification(Task):
    """A vision transformer trained from scratch; `width`, `depth` and `heads` 0 are the model's own.

    Args:
        model: timm's name of a plain VisionTransformer.
        image_size: side of the square picture in pixels, a multiple of patch_size.
        patch_size: side of a patch in pixels.
        width: channels, a multiple of heads.
        depth: layers.
        heads: attention heads.
        position_std: of the initial position embedding; timm's own 0.02 is drowned by the patches of small networks.
        drop_path: probability in [0, 1) of leaving out the last layer's branches; earlier layers less.
        lr: AdamW's peak learning rate.
        scale_lr: whether lr is for a batch of 512 and scales with the global batch.
        weight_decay: AdamW's; biases, norms, embeddings and per-channel gains have none.
        warmup: share of the steps, in [0, 1), in which the rate rises to lr; a cosine down to lr / 100 follows.
        label_smoothing: in [0, 1), training only.
        clip: largest gradient norm; 0 means unclipped.
        train_area: smallest share of the area in a random training crop, in (0, 1]; 1 switches augmentation off.
        test_side: share of the shorter side in the central crop of evaluation, in (0, 1].
        evaluate_every: steps between validations; 0 means none before the end.
        folder: for the data set imagefolder, the path below the data root.
    """

    datasets = {
        "digits": Dataset("scikit-learn's handwritten digits, 1,797 images 8x8, 10 classes", embedded=True),
        "tiny-imagenet-100": Dataset("100 classes of Tiny ImageNet, 64x64, 15,000 training images"),
        "imagenet": Dataset("ImageNet-1k folders train/ and val/, 1,000 classes; val is the test part"),
        "imagefolder": Dataset("any folder with train/, val/ and perhaps test/, one folder per class inside"),
    }
    metrics = (Metric("top1", "%", "higher"), Metric("top5", "%", "higher"), Metric("loss", "nat", "lower"))
    label = ("model", "image_size", "depth", "width")
    engines = ("ddp", "zero1", "zero2", "zero3")
    steps = 150
    global_batch = 32

    def __init__(
        self,
        *,
        model: str = "deit_tiny_patch16_224",
        image_size: int = 16,
        patch_size: int = 4,
        width: int = 64,
        depth: int = 4,
        heads: int = 4,
        position_std: float = 0.5,
        drop_path: float = 0.0,
        lr: float = 0.003,
        scale_lr: bool = False,
        weight_decay: float = 0.05,
        warmup: float = 0.1,
        label_smoothing: float = 0.0,
        clip: float = 1.0,
        train_area: float = 1.0,
        test_side: float = 1.0,
        evaluate_every: int = 0,
        folder: str = "",
    ) -> None:
        if model not in _FAMILIAR:
            from jobs.hosts import deit  # asking timm takes seconds; the familiar names need not

            deit.expect_known(model)
        _expect_sizes(image_size, patch_size, {"width": width, "depth": depth, "heads": heads})
        for name, share in {"drop_path": drop_path, "warmup": warmup, "label_smoothing": label_smoothing}.items():
            if not 0 <= share < 1:
                raise ValueError(f"{name} must be in [0, 1), got {share}.")
        for name, share in {"train_area": train_area, "test_side": test_side}.items():
            if not 0 < share <= 1:
                raise ValueError(f"{name} must be in (0, 1], got {share}.")
        if PurePosixPath(folder).is_absolute() or ".." in PurePosixPath(folder).parts:
            raise ValueError(f"folder must be a path below the data root, got {folder!r}.")
        self.model, self.image_size, self.patch_size = model, image_size, patch_size
        self.width, self.depth, self.heads, self.drop_path = width, depth, heads, drop_path
        self.position_std = position_std
        self.lr, self.scale_lr, self.weight_decay, self.warmup = lr, scale_lr, weight_decay, warmup
        self.label_smoothing, self.train_area, self.test_side = label_smoothing, train_area, test_side
        self.folder = folder
        self.clip = clip or None
        self.evaluate_every = evaluate_every or None

    def load(self, data: str, split: str, root: Path | None, seed: int) -> str:
        from jobs.hosts import images  # torchvision and scikit-learn; describing the task needs neither

        self._seed = seed
        view = images.View(self.image_size, self.train_area, self.test_side)
        folder = self.folder if data == "imagefolder" else data
        self._pictures, digest = images.load(data, folder, root, view)
        return digest

    def build(self, plug: Plug) -> nn.Module:
        from jobs.hosts import deit

        own = {"embed_dim": self.width, "depth": self.depth, "num_heads": self.heads}
        options = {name: size for name, size in own.items() if size}
        options |= {"img_size": self.image_size, "patch_size": self.patch_size}
        options |= {"num_classes": self._pictures.classes, "in_chans": self._pictures.channels}
        model = deit.create(self.model, plug, options | {"drop_path_rate": self.drop_path})
        with torch.no_grad():
            deit.positions(model).mul_(self.position_std / _TIMM_POSITION_STD)
        return model

    def samples(self) -> int:
        return self._pictures.count("train")

    def batch(self, draws: Sequence[Draw]) -> Any:
        from jobs.hosts.images import Sample, collect

        def read(draw: Draw) -> Sample:
            return self._pictures.train(draw[1], generator(self._seed, "augment", *draw))

        return collect(read, draws)

    def loss(self, model: nn.Module, batch: Any) -> Tensor:
        pictures, labels = _moved(batch, model)
        logits, penalty = model(pictures)
        return cross_entropy(logits, labels, label_smoothing=self.label_smoothing) + penalty

    def optimizer(self, model: nn.Module) -> torch.optim.Optimizer:
        undecayed = model.no_weight_decay()  # type: ignore[operator]  # timm's, nn.Module's attributes are untyped
        groups: dict[bool, list[nn.Parameter]] = {True: [], False: []}
        for name, parameter in model.named_parameters():
            matrix = sum(size > 1 for size in parameter.shape) > 1
            groups[matrix and name not in undecayed].append(parameter)
        decayed = [{"params": found, "weight_decay": self.weight_decay * flag} for flag, found in groups.items()]
        lr = self.lr * self.global_batch / _LR_BATCH if self.scale_lr else self.lr
        return torch.optim.AdamW(decayed, lr=lr)

    def rate(self, step: int, steps: int) -> float:
        rising = max(1, round(self.warmup * steps))
        if step < rising:
            return (step + 1) / rising
        done = (step - rising) / max(1, steps - rising)
        return 0.01 + 0.99 * (1 + math.cos(math.pi * done)) / 2

    def evaluate(self, model: nn.Module, part: Literal["val", "test"], beat: Callable[[], None]) -> dict[str, float]:
        count = self._pictures.count(part)
        totals = {"top1": 0.0, "top5": 0.0, "loss": 0.0}
        for start in range(0, count, _EVALUATED):
            pictures, labels = self._plain(part, range(start, min(start + _EVALUATED, count)), model)
            logits = model(pictures)[0].float()
            hits = logits.topk(min(5, logits.shape[-1])).indices == labels[:, None]
            totals["top1"] += hits[:, 0].sum().item()
            totals["top5"] += hits.any(-1).sum().item()
            totals["loss"] += cross_entropy(logits, labels, reduction="sum").item()
            beat()
        unit = {"top1": 100.0, "top5": 100.0, "loss": 1.0}
        return {name: unit[name] * total / count for name, total in totals.items()}

    def probe(self, model: nn.Module) -> None:
        from jobs.hosts.images import spread

        model(self._plain("test", spread(self._pictures.count("test"), _PROBED), model)[0])

    def blocks(self, model: nn.Module) -> Mapping[str, Sequence[nn.Module]]:
        return {"encoder": list(model.blocks)}  # type: ignore[arg-type]  # nn.Module's attributes are untyped

    def initialise(self, model: nn.Module, upstream: Path) -> None:
        """Start from the weights of the same network, trained at this or another image size."""
        from jobs.hosts import deit

        weights = torch.load(upstream, map_location="cpu", weights_only=True)["model"]
        assert isinstance(model, deit.DeiT)
        try:
            model.load_state_dict(deit.fitted(weights, model))
        except (KeyError, RuntimeError) as error:
            raise DataError(f"The upstream checkpoint does not fit this network: {error}") from error

    def _plain(self, part: str, indices: Sequence[int], model: nn.Module) -> tuple[Tensor, Tensor]:
        """Pictures `indices` of a part as evaluation sees them, on the model's device."""
        from jobs.hosts.images import collect

        return _moved(collect(lambda index: self._pictures.plain(part, index), indices), model)


def _expect_sizes(image_size: int, patch_size: int, sizes: Mapping[str, int]) -> None:
    if patch_size < 1 or image_size < patch_size or image_size % patch_size:
        raise ValueError(f"image_size must be a multiple of patch_size, got {image_size} and {patch_size}.")
    for name, size in sizes.items():
        if size < 0:
            raise ValueError(f"{name} must be >= 0 (0: the model's own), got {size}.")
    if sizes["width"] and sizes["heads"] and sizes["width"] % sizes["heads"]:
        raise ValueError(f"width must be a multiple of heads, got {sizes['width']} and {sizes['heads']}.")


def _moved(batch: tuple[Tensor, Tensor], model: nn.Module) -> tuple[Tensor, Tensor]:
    """The batch on the model's device."""
    device = next(model.parameters()).device
    return batch[0].to(device, non_blocking=True), batch[1].to(device, non_blocking=True)
