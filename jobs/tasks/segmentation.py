"""Semantic segmentation on mmsegmentation: random crops, sliding-window evaluation at one or several scales, mIoU."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from jobs import randomness
from jobs.api import Dataset, Draw, Metric, Plug, Task
from jobs.errors import DataError

_EMBEDDINGS = ("pos_embed", "cls_token", "cls_emb")
_PROBED = 8


class Segmentation(Task):
    """A vision transformer with a decoder; the variant acts in every stack of attention layers.

    Args:
        model: the decoder: segmenter has a mask transformer (the variant in both), upernet a pyramid of convolutions
            (the variant in the encoder).
        crop: side of a training crop and of the evaluation's window [pixels], a multiple of patch.
        patch: side of a patch [pixels].
        width: channels of the encoder, a multiple of heads.
        depth: layers of the encoder.
        heads: attention heads of the encoder.
        decoder_width: channels of the decoder, a multiple of decoder_heads; 0: the encoder's.
        decoder_depth: layers of the mask transformer.
        decoder_heads: attention heads of the mask transformer; 0: the encoder's.
        decoder_dropout: probability in [0, 1) of dropout in the decoder.
        embedding_std: of the initial position and class embeddings; the frameworks' own 0.02 is drowned by the patches
            of small networks.
        drop_path: probability in [0, 1) of leaving out the encoder's last branches; earlier ones less.
        short_side: what the shorter side of a photograph is resized to [pixels]; scenes stay as they are.
        stride: from window to window in evaluation [pixels], in [1, crop].
        optimizer: adamw, or sgd with momentum 0.9.
        lr: learning rate at the start, > 0; it falls to min_lr as (1 - step / steps) ** power.
        min_lr: what the learning rate falls to, in [0, lr].
        power: of the learning rate's fall, > 0.
        weight_decay: of the optimizer; biases, norms and embeddings have none.
        warmup: share of the steps, in [0, 1), in which the rate rises to its curve.
        clip: largest gradient norm; 0 means unclipped.
        evaluate_every: steps between validations; 0 means none before the end.
        multi_scale: whether the test part is also measured as mIoU_ms, from each picture at six scales (0.5 to 1.75),
            plain and mirrored; it takes many times as long.
    """

    datasets = {
        "scenes": Dataset("2,250 canvases of 32x32 with scikit-learn's digits on them, 11 classes", embedded=True),
        "camvid": Dataset("CamVid, 701 street scenes of 480x360, 11 classes, void ignored"),
        "ade20k": Dataset("ADE20K, 150 classes; the published validation pictures are val and test"),
    }
    metrics: tuple[Metric, ...] = (
        Metric("mIoU", "%", "higher"),
        Metric("aAcc", "%", "higher"),
        Metric("mAcc", "%", "higher"),
    )
    label = ("model", "crop", "depth", "decoder_depth", "width")
    steps = 150
    global_batch = 16
    evaluates_together = True

    def __init__(
        self,
        *,
        model: Literal["segmenter", "upernet"] = "segmenter",
        crop: int = 32,
        patch: int = 4,
        width: int = 64,
        depth: int = 4,
        heads: int = 4,
        decoder_width: int = 0,
        decoder_depth: int = 2,
        decoder_heads: int = 0,
        decoder_dropout: float = 0.0,
        embedding_std: float = 0.5,
        drop_path: float = 0.0,
        short_side: int = 32,
        stride: int = 32,
        optimizer: Literal["adamw", "sgd"] = "adamw",
        lr: float = 0.003,
        min_lr: float = 0.0,
        power: float = 0.9,
        weight_decay: float = 0.01,
        warmup: float = 0.25,
        clip: float = 1.0,
        evaluate_every: int = 0,
        multi_scale: bool = False,
    ) -> None:
        self.model = model
        self.sizes = {"crop": crop, "patch": patch, "width": width, "depth": depth, "heads": heads}
        self.sizes["decoder_width"] = decoder_width or width
        self.sizes["decoder_depth"] = decoder_depth
        self.sizes["decoder_heads"] = decoder_heads or heads
        _expect_sizes(self.sizes | {"short_side": short_side}, model)
        if not 1 <= stride <= crop:
            raise ValueError(f"stride must be in [1, crop], got {stride} with a crop of {crop}.")
        if not 0 <= min_lr <= lr:
            raise ValueError(f"min_lr must be in [0, lr], got {min_lr} with an lr of {lr}.")
        _expect_shares({"drop_path": drop_path, "decoder_dropout": decoder_dropout, "warmup": warmup})
        _expect_positive({"embedding_std": embedding_std, "lr": lr, "power": power})
        self.options: dict[str, Any] = {"drop_path": drop_path, "decoder_dropout": decoder_dropout}
        self.options["embedding_std"] = embedding_std
        self.short_side, self.stride = short_side, stride
        self._optimizer, self.lr, self.weight_decay, self.warmup = optimizer, lr, weight_decay, warmup
        self.min_lr, self.power = min_lr, power
        self.clip = clip or None
        self.evaluate_every = evaluate_every or None
        self.multi_scale = multi_scale
        if multi_scale:
            self.metrics = (*self.metrics, Metric("mIoU_ms", "%", "higher"))
        self._evaluation: Any = None

    def load(self, data: str, split: str, root: Path | None, seed: int) -> str:
        from jobs.data import labelled  # mmsegmentation is slow to import; describing the task needs none of it

        self._seed = seed
        self._parts = labelled.load(data, root, labelled.View(self.sizes["crop"], self.short_side))
        return self._parts.digest

    def build(self, plug: Plug) -> nn.Module:
        from jobs.hosts import segmenter, upernet
        from jobs.hosts.encoder import Shape

        shape = Shape(**self.sizes, **self.options, classes=self._parts.classes)
        create = {"segmenter": segmenter.create, "upernet": upernet.create}[self.model]
        model: nn.Module = create(shape, plug, stride=self.stride)
        return model

    def samples(self) -> int:
        return len(self._parts.train)

    def batch(self, draws: Sequence[Draw]) -> Any:
        return [self._sample(draw) for draw in draws]

    def _sample(self, draw: Draw) -> Any:
        """One training picture; mmsegmentation's transforms draw from the global streams, so those are lent."""
        with randomness.lent(self._seed, "augment", *draw):
            return self._parts.train[draw[1]]

    def loss(self, model: nn.Module, batch: Any) -> Tensor:
        from jobs.openmmlab import pseudo_collate

        host: Any = model.module if isinstance(model, DistributedDataParallel) else model
        ready = host.data_preprocessor(pseudo_collate(batch), training=True)
        outputs = model(ready["inputs"])  # tensors in and out: one graph for the compiler
        loss: Tensor = host.parse_losses(host.losses(outputs, ready["data_samples"]))[0]
        return loss

    def optimizer(self, model: nn.Module) -> torch.optim.Optimizer:
        groups: dict[bool, list[nn.Parameter]] = {True: [], False: []}
        for name, parameter in model.named_parameters():
            matrix = sum(size > 1 for size in parameter.shape) > 1
            groups[matrix and not name.endswith(_EMBEDDINGS)].append(parameter)
        decayed = [{"params": found, "weight_decay": self.weight_decay * flag} for flag, found in groups.items()]
        if self._optimizer == "sgd":
            return torch.optim.SGD(decayed, lr=self.lr, momentum=0.9)
        return torch.optim.AdamW(decayed, lr=self.lr)

    def rate(self, step: int, steps: int) -> float:
        rising = self.warmup * steps
        least = self.min_lr / self.lr
        fallen = least + (1 - least) * (1 - step / steps) ** self.power
        return min(1.0, (step + 1) / rising if rising else 1.0) * fallen

    def fit(self, model: nn.Module, optimizer: torch.optim.Optimizer, train: Callable[[], None]) -> None:
        from jobs.hosts import mmengine_runner

        mmengine_runner.fit(model, optimizer, self._parts, train)

    def evaluate(self, model: nn.Module, part: Literal["val", "test"], beat: Callable[[], None]) -> dict[str, float]:
        from jobs.hosts.mmengine_runner import Evaluation

        if self._evaluation is None or self._evaluation.model is not model:
            self._evaluation = Evaluation(model, self._parts, self.workers)
        found: dict[str, float] = self._evaluation.run(part, beat)
        if part == "test" and self.multi_scale:
            with randomness.lent(self._seed, "scales"):
                found["mIoU_ms"] = self._evaluation.run_scaled(beat)["mIoU"]
        return found

    def probe(self, model: nn.Module) -> None:
        from jobs.openmmlab import pseudo_collate

        host: Any = model
        val, crop = self._parts.val, self.sizes["crop"]
        chosen = [val[index * len(val) // _PROBED] for index in range(min(_PROBED, len(val)))]
        for picture in chosen:
            picture["inputs"] = picture["inputs"][:, :crop, :crop]
        host(host.data_preprocessor(pseudo_collate(chosen))["inputs"])

    def blocks(self, model: nn.Module) -> Mapping[str, Sequence[nn.Module]]:
        host: Any = model
        stacks = {"encoder": list(host.backbone.vit.blocks)}
        return stacks | {"decoder": list(host.decode_head.layers)} if self.model == "segmenter" else stacks

    def initialise(self, model: nn.Module, upstream: Path) -> None:
        """Give the encoder the weights of a classification job, trained at this or another image and patch size."""
        from jobs.hosts import encoder

        document = torch.load(upstream, map_location="cpu", weights_only=True)
        try:
            encoder.adopt(model, document["model"])
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"The upstream checkpoint does not fit this encoder: {error}") from error


def _expect_sizes(sizes: Mapping[str, int], model: str) -> None:
    for name, size in sizes.items():
        if size < 1:
            raise ValueError(f"{name} must be >= 1, got {size}.")
    for whole, part in (("crop", "patch"), ("width", "heads"), ("decoder_width", "decoder_heads")):
        if sizes[whole] % sizes[part]:
            raise ValueError(f"{whole} must be a multiple of {part}, got {sizes[whole]} and {sizes[part]}.")
    if model == "upernet" and sizes["crop"] < 2 * sizes["patch"]:
        raise ValueError(
            f"upernet halves the map of patches, so crop must be >= 2 patches, got {sizes['crop']} with a patch of "
            f"{sizes['patch']}."
        )


def _expect_shares(shares: Mapping[str, float]) -> None:
    for name, share in shares.items():
        if not 0 <= share < 1:
            raise ValueError(f"{name} must be in [0, 1), got {share}.")


def _expect_positive(values: Mapping[str, float]) -> None:
    for name, value in values.items():
        if value <= 0:
            raise ValueError(f"{name} must be > 0, got {value}.")
