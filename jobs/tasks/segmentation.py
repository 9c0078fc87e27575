"""Semantic segmentation with Segmenter on mmsegmentation: random crops, sliding-window evaluation, mIoU."""

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
    """A vision transformer with a mask-transformer decoder; the variant acts in both.

    Args:
        model: the network; segmenter.
        crop: side of a training crop and of the evaluation's window [pixels], a multiple of patch.
        patch: side of a patch [pixels].
        width: channels of encoder and decoder, a multiple of heads.
        depth: layers of the encoder.
        decoder_depth: layers of the decoder.
        heads: attention heads of both.
        embedding_std: of the initial position and class embeddings; the frameworks' own 0.02 is drowned by the patches
            of small networks.
        drop_path: probability in [0, 1) of leaving out the encoder's last branches; earlier ones less.
        short_side: what the shorter side of a photograph is resized to [pixels]; scenes stay as they are.
        stride: from window to window in evaluation [pixels], in [1, crop].
        optimizer: adamw, or sgd with momentum 0.9.
        lr: learning rate at the start; it falls as (1 - step / steps) ** 0.9.
        weight_decay: of the optimizer; biases, norms and embeddings have none.
        warmup: share of the steps, in [0, 1), in which the rate rises to its curve.
        clip: largest gradient norm; 0 means unclipped.
        evaluate_every: steps between validations; 0 means none before the end.
    """

    datasets = {
        "scenes": Dataset("2,250 canvases of 32x32 with scikit-learn's digits on them, 11 classes", embedded=True),
        "camvid": Dataset("CamVid, 701 street scenes of 480x360, 11 classes, void ignored"),
        "ade20k": Dataset("ADE20K, 150 classes; the published validation pictures are val and test"),
    }
    metrics = (Metric("mIoU", "%", "higher"), Metric("aAcc", "%", "higher"), Metric("mAcc", "%", "higher"))
    label = ("model", "crop", "depth", "decoder_depth", "width")
    steps = 150
    global_batch = 16
    evaluates_together = True

    def __init__(
        self,
        *,
        model: Literal["segmenter"] = "segmenter",
        crop: int = 32,
        patch: int = 4,
        width: int = 64,
        depth: int = 4,
        decoder_depth: int = 2,
        heads: int = 4,
        embedding_std: float = 0.5,
        drop_path: float = 0.0,
        short_side: int = 32,
        stride: int = 32,
        optimizer: Literal["adamw", "sgd"] = "adamw",
        lr: float = 0.003,
        weight_decay: float = 0.01,
        warmup: float = 0.25,
        clip: float = 1.0,
        evaluate_every: int = 0,
    ) -> None:
        sizes = {"crop": crop, "patch": patch, "width": width, "depth": depth, "decoder_depth": decoder_depth}
        self.sizes = sizes | {"heads": heads}
        _expect_sizes(self.sizes | {"short_side": short_side})
        if not 1 <= stride <= crop:
            raise ValueError(f"stride must be in [1, crop], got {stride} with a crop of {crop}.")
        for name, share in {"drop_path": drop_path, "warmup": warmup}.items():
            if not 0 <= share < 1:
                raise ValueError(f"{name} must be in [0, 1), got {share}.")
        if embedding_std <= 0:
            raise ValueError(f"embedding_std must be > 0, got {embedding_std}.")
        self.embedding_std = embedding_std
        self.drop_path, self.short_side, self.stride = drop_path, short_side, stride
        self._optimizer, self.lr, self.weight_decay, self.warmup = optimizer, lr, weight_decay, warmup
        self.clip = clip or None
        self.evaluate_every = evaluate_every or None
        self._evaluation: Any = None

    def load(self, data: str, split: str, root: Path | None, seed: int) -> str:
        from jobs.hosts import scenes  # mmsegmentation is slow to import; describing the task needs none of it

        self._seed = seed
        self._parts = scenes.load(data, root, scenes.View(self.sizes["crop"], self.short_side))
        return self._parts.digest

    def build(self, plug: Plug) -> nn.Module:
        from jobs.hosts import segmenter

        shape = segmenter.Shape(
            **self.sizes,
            classes=self._parts.classes,
            drop_path=self.drop_path,
            embedding_std=self.embedding_std,
        )
        model: nn.Module = segmenter.create(shape, plug, stride=self.stride)
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
        from jobs.hosts.openmmlab import pseudo_collate

        host: Any = model.module if isinstance(model, DistributedDataParallel) else model
        ready = host.data_preprocessor(pseudo_collate(batch), training=True)
        logits, penalty = model(ready["inputs"])  # tensors in and out: one graph for the compiler
        loss: Tensor = host.decode_head.loss_by_feat(logits, ready["data_samples"])["loss_ce"]
        return loss + penalty

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
        return min(1.0, (step + 1) / rising if rising else 1.0) * (1 - step / steps) ** 0.9

    def fit(self, model: nn.Module, optimizer: torch.optim.Optimizer, train: Callable[[], None]) -> None:
        from jobs.hosts import mmengine_runner

        mmengine_runner.fit(model, optimizer, self._parts, train)

    def evaluate(self, model: nn.Module, part: Literal["val", "test"], beat: Callable[[], None]) -> dict[str, float]:
        from jobs.hosts.mmengine_runner import Evaluation

        if self._evaluation is None or self._evaluation.model is not model:
            self._evaluation = Evaluation(model, self._parts)
        found: dict[str, float] = self._evaluation.run(part, beat)
        return found

    def probe(self, model: nn.Module) -> None:
        from jobs.hosts.openmmlab import pseudo_collate

        host: Any = model
        val, crop = self._parts.val, self.sizes["crop"]
        chosen = [val[index * len(val) // _PROBED] for index in range(min(_PROBED, len(val)))]
        for picture in chosen:
            picture["inputs"] = picture["inputs"][:, :crop, :crop]
        host(host.data_preprocessor(pseudo_collate(chosen))["inputs"])

    def blocks(self, model: nn.Module) -> Mapping[str, Sequence[nn.Module]]:
        host: Any = model
        return {"encoder": list(host.backbone.vit.blocks), "decoder": list(host.decode_head.layers)}

    def initialise(self, model: nn.Module, upstream: Path) -> None:
        """Give the encoder the weights of a classification job, trained at this or another image and patch size."""
        from jobs.hosts import segmenter

        document = torch.load(upstream, map_location="cpu", weights_only=True)
        try:
            segmenter.adopt(model, document["model"])
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"The upstream checkpoint does not fit this encoder: {error}") from error


def _expect_sizes(sizes: Mapping[str, int]) -> None:
    for name, size in sizes.items():
        if size < 1:
            raise ValueError(f"{name} must be >= 1, got {size}.")
    for whole, part in (("crop", "patch"), ("width", "heads")):
        if sizes[whole] % sizes[part]:
            raise ValueError(f"{whole} must be a multiple of {part}, got {sizes[whole]} and {sizes[part]}.")
