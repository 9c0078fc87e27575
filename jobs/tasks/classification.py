"""Image classification with a vision transformer of timm: DeiT's recipe, piece by piece, or a small one by default."""

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from jobs.api import Dataset, Draw, Metric, Plug, Task
from jobs.errors import DataError, JobError
from jobs.randomness import lent

_FAMILIAR = tuple(f"deit_{size}_patch16_224" for size in ("tiny", "small", "base"))
"""Model names known without asking timm, which is slow to import."""
_FAMILIAR_AUGMENT = ("", "rand-m9-mstd0.5-inc1")
_PROBED = 32
_LR_BATCH = 512
_TIMM_POSITION_STD = 0.02


class Classification(Task):
    """A vision transformer trained from scratch; `width`, `depth` and `heads` 0 are the model's own.

    DeiT's recipe on ImageNet is lr 5e-4 with scale_lr, global batch 1024, 300 epochs, clip 0, drop_path 0.1,
    label_smoothing 0.1, schedule epochs, train_area 0.08, test_side 0.875, rand_augment rand-m9-mstd0.5-inc1,
    erasing 0.25, mixup 0.8, cutmix 1, repeats 3, average 0.99996, position_std 0.02.

    Mixing pairs a sample with its mirror in the same forward pass, so it follows the number of processes and the
    micro-batch: runs that divide a global batch in another way are mixed otherwise. All else follows (seed, epoch,
    index).

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
        schedule: "steps" rises over `warmup`, then falls along a cosine to lr / 100, step by step; "epochs" is DeiT's
            own: set once per epoch, from warmup_lr to lr in warmup_epochs, then a cosine to min_lr, one epoch late.
        warmup: share of the steps, in [0, 1), in which the rate rises to lr; for schedule steps.
        warmup_epochs: epochs (samples / global_batch steps, rounded down) of rising; for schedule epochs.
        warmup_lr: the first epoch's learning rate, not scaled; for schedule epochs.
        min_lr: the learning rate that the cosine ends at, not scaled; for schedule epochs.
        label_smoothing: in [0, 1), training only.
        clip: largest gradient norm; 0 means unclipped.
        train_area: smallest share of the area in a random training crop, in (0, 1]; 1 crops nothing.
        test_side: share of the shorter side in the central crop of evaluation, in (0, 1].
        rand_augment: timm's description of a RandAugment; empty means none.
        color_jitter: strength in brightness, contrast and saturation; as in timm not used under rand_augment.
        erasing: probability in [0, 1) of replacing a rectangle by noise.
        mixup: alpha of the Beta distribution of mixup's weight; 0 means none.
        cutmix: alpha of the Beta distribution of cutmix's area; 0 means none. With both a coin decides per batch.
        repeats: copies of a sample in an epoch, each augmented anew, of 1 / repeats as many samples.
        average: decay in [0, 1) of the weights' moving average, which is evaluated beside them; 0 means none.
        evaluate_every: steps between validations; 0 means none before the end.
        folder: for the data set imagefolder, the path below the data root.
    """

    datasets = {
        "digits": Dataset("scikit-learn's handwritten digits, 1,797 images 8x8, 10 classes", embedded=True),
        "tiny-imagenet-100": Dataset("100 classes of Tiny ImageNet, 64x64, 15,000 training images"),
        "imagenet": Dataset(
            "ImageNet-1k folders train/ and val/, 1,000 classes; val is the test part; tested on imagenet-a/, "
            "imagenet-r/ and imagenet-c/ too where they lie beside it"
        ),
        "imagefolder": Dataset("any folder with train/, val/ and perhaps test/, one folder per class inside"),
    }
    metrics: tuple[Metric, ...] = (
        Metric("top1", "%", "higher"),
        Metric("top5", "%", "higher"),
        Metric("loss", "nat", "lower"),
    )
    label = ("model", "image_size", "depth", "width")
    engines = ("ddp", "zero1", "zero2", "zero3")
    steps = 150
    global_batch = 32
    evaluates_together = True

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
        schedule: Literal["steps", "epochs"] = "steps",
        warmup: float = 0.1,
        warmup_epochs: int = 5,
        warmup_lr: float = 1e-6,
        min_lr: float = 1e-5,
        label_smoothing: float = 0.0,
        clip: float = 1.0,
        train_area: float = 1.0,
        test_side: float = 1.0,
        rand_augment: str = "",
        color_jitter: float = 0.0,
        erasing: float = 0.0,
        mixup: float = 0.0,
        cutmix: float = 0.0,
        repeats: int = 1,
        average: float = 0.0,
        evaluate_every: int = 0,
        folder: str = "",
    ) -> None:
        _expect_timm(model, rand_augment)
        _expect_sizes(image_size, patch_size, {"width": width, "depth": depth, "heads": heads})
        shares = {"drop_path": drop_path, "warmup": warmup, "label_smoothing": label_smoothing, "erasing": erasing}
        for name, share in (shares | {"average": average}).items():
            if not 0 <= share < 1:
                raise ValueError(f"{name} must be in [0, 1), got {share}.")
        for name, share in {"train_area": train_area, "test_side": test_side}.items():
            if not 0 < share <= 1:
                raise ValueError(f"{name} must be in (0, 1], got {share}.")
        rates = {"warmup_lr": warmup_lr, "min_lr": min_lr, "warmup_epochs": warmup_epochs}
        for name, value in (rates | {"color_jitter": color_jitter, "mixup": mixup, "cutmix": cutmix}).items():
            if not 0 <= value < math.inf:
                raise ValueError(f"{name} must be >= 0, got {value}.")
        if repeats < 1:
            raise ValueError(f"repeats must be >= 1, got {repeats}.")
        if PurePosixPath(folder).is_absolute() or ".." in PurePosixPath(folder).parts:
            raise ValueError(f"folder must be a path below the data root, got {folder!r}.")
        self.model, self.image_size, self.patch_size = model, image_size, patch_size
        self.width, self.depth, self.heads, self.drop_path = width, depth, heads, drop_path
        self.position_std = position_std
        self.lr, self.scale_lr, self.weight_decay = lr, scale_lr, weight_decay
        self.schedule, self.warmup = schedule, warmup
        self.warmup_epochs, self.warmup_lr, self.min_lr = warmup_epochs, warmup_lr, min_lr
        self.label_smoothing, self.train_area, self.test_side = label_smoothing, train_area, test_side
        self.rand_augment, self.color_jitter, self.erasing = rand_augment, color_jitter, erasing
        self.mixup, self.cutmix, self.repeats = mixup, cutmix, repeats
        self.average = average or None
        self.folder = folder
        self.clip = clip or None
        self.evaluate_every = evaluate_every or None

    def load(self, data: str, split: str, root: Path | None, seed: int) -> str:
        from jobs.data import images, shifts  # torchvision and scikit-learn; describing the task needs neither
        from jobs.data.views import View, mixing

        self._seed = seed
        view = View(
            self.image_size, self.train_area, self.test_side, self.rand_augment, self.color_jitter, self.erasing
        )
        folder = self.folder if data == "imagefolder" else data
        self._pictures, digest = images.load(data, folder, root, view)
        self._mix = mixing(self.mixup, self.cutmix, self.label_smoothing, self._pictures.classes)
        self.pairs = self._mix is not None
        self._shifts: shifts.Shifts | None = None
        if data == "imagenet" and root is not None and isinstance(self._pictures, images.Folder):
            self._shifts = shifts.Shifts(root, self._pictures)
            self.metrics = (*type(self).metrics, *self._shifts.metrics)
            self.further = {"shifts": self._shifts.digest()}
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
        """Pictures and classes, or soft labels (B, classes) if mixed: a function of (seed, draws), of all of them."""
        from jobs.data.images import collect

        pictures, labels = collect(map(self._augmented, draws))
        if self._mix is None:
            return pictures, labels
        if len(draws) % 2:
            raise JobError(
                f"mixup and cutmix pair the samples of a forward pass, got {len(draws)}; choose global_batch, "
                "processes and micro_batch so that each process takes an even number at a time."
            )
        with lent(self._seed, "mix", *(number for draw in draws for number in draw)):
            return self._mix(pictures, labels)

    def loss(self, model: nn.Module, batch: Any) -> Tensor:
        pictures, labels = _moved(batch, model)
        logits, penalty = model(pictures)
        smoothing = 0.0 if labels.is_floating_point() else self.label_smoothing  # soft labels are smoothed already
        return cross_entropy(logits, labels, label_smoothing=smoothing) + penalty

    def optimizer(self, model: nn.Module) -> torch.optim.Optimizer:
        undecayed = model.no_weight_decay()  # type: ignore[operator]  # timm's, nn.Module's attributes are untyped
        groups: dict[bool, list[nn.Parameter]] = {True: [], False: []}
        for name, parameter in model.named_parameters():
            matrix = sum(size > 1 for size in parameter.shape) > 1
            groups[matrix and name not in undecayed].append(parameter)
        decayed = [{"params": found, "weight_decay": self.weight_decay * flag} for flag, found in groups.items()]
        return torch.optim.AdamW(decayed, lr=self._peak())

    def rate(self, step: int, steps: int) -> float:
        from jobs.hosts import schedule

        if self.schedule == "steps":
            return schedule.by_step(step, steps, self.warmup)
        length = max(1, self.samples() // self.global_batch)
        shares = schedule.ByEpoch(self.warmup_epochs, self.warmup_lr / self._peak(), self.min_lr / self._peak())
        return shares.factor(step // length, steps / length)

    def evaluate(self, model: nn.Module, part: Literal["val", "test"], beat: Callable[[], None]) -> dict[str, float]:
        from jobs.hosts.scoring import Scoring

        scoring = Scoring(model, self.portion, self.workers, beat)
        values = scoring.scores(functools.partial(self._pictures.plain, part), self._pictures.count(part))
        if part == "test" and self._shifts is not None:
            values |= self._shifts.evaluate(scoring.scores)
        return values

    def probe(self, model: nn.Module) -> None:
        from jobs.data.images import collect, spread

        chosen = spread(self._pictures.count("test"), _PROBED)
        model(_moved(collect(self._pictures.plain("test", index) for index in chosen), model)[0])

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

    def _peak(self) -> float:
        """The highest learning rate of this batch size."""
        return self.lr * self.global_batch / _LR_BATCH if self.scale_lr else self.lr

    def _augmented(self, draw: Draw) -> tuple[Tensor, int]:
        with lent(self._seed, "augment", *draw):
            return self._pictures.train(draw[1])


def _expect_timm(model: str, rand_augment: str) -> None:
    """Ask timm whether it knows both names, which takes seconds; the familiar ones need no asking."""
    if model not in _FAMILIAR:
        from jobs.hosts import deit

        deit.expect_known(model)
    if rand_augment not in _FAMILIAR_AUGMENT:
        from jobs.data import views

        views.expect_rand_augment(rand_augment)


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
