"""The DeiT host as an encoder for mmsegmentation, and what its EncoderDecoders owe a job: tensors in, tensors out.

Shapes: B batch, N tokens, C channels, K classes, h x w patches.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from jobs.api import Plug
from jobs.data.labelled import IGNORED
from jobs.hosts import deit
from jobs.openmmlab import MODELS, BaseModule, ConfigDict, EncoderDecoder, SegDataPreProcessor, add_prefix

STD = 0.02
"""Of the initial position and class embeddings in timm and mmsegmentation."""
_ARCHITECTURE = "deit_tiny_patch16_224"
"""Whose architecture the encoder follows; every size of it is set anew."""
_HEADS = {"decode": "decode_head", "aux": "auxiliary_head"}
"""mmsegmentation's names for the heads' losses and for the heads."""

Maps = tuple[Tensor, ...]
Outputs = tuple[Maps, Tensor]
"""Logits (B, K, height, width) of the decode head and, in training, the auxiliary head; and the penalty."""


@dataclasses.dataclass(frozen=True)
class Shape:
    """Sizes of a network.

    Args:
        crop: height and width of an input [pixels], a multiple of `patch`.
        patch: height and width of a patch [pixels].
        width, depth, heads: channels C, layers and attention heads of the encoder.
        decoder_width: channels of the decoder.
        decoder_depth, decoder_heads: layers and attention heads of a mask transformer.
        classes: K.
        drop_path: greatest probability with which the encoder skips a branch.
        decoder_dropout: probability of dropout in the decoder.
        embedding_std: of the initial position and class embeddings.
    """

    crop: int
    patch: int
    width: int
    depth: int
    heads: int
    decoder_width: int
    decoder_depth: int
    decoder_heads: int
    classes: int
    drop_path: float = 0.0
    decoder_dropout: float = 0.0
    embedding_std: float = STD


@MODELS.register_module()
class Encoder(BaseModule):
    """Images (B, 3, crop, crop) in; patch tokens after each of `layers` as maps (B, C, h, w), and the penalty, out."""

    def __init__(self, shape: Shape, plug: Plug, layers: Sequence[int]) -> None:
        super().__init__()
        options = {
            "img_size": shape.crop,
            "patch_size": shape.patch,
            "embed_dim": shape.width,
            "depth": shape.depth,
            "num_heads": shape.heads,
            "num_classes": 0,
            "drop_path_rate": shape.drop_path,
        }
        self.layers = tuple(layers)
        self.vit = deit.create(_ARCHITECTURE, plug, options)
        with torch.no_grad():
            deit.positions(self.vit).mul_(shape.embedding_std / STD)

    def forward(self, images: Tensor) -> tuple[Maps, Tensor]:
        levels_BNC, penalty = self.vit.levels(images, self.layers)
        return tuple(self._map(x_BNC) for x_BNC in levels_BNC), penalty

    def _map(self, x_BNC: Tensor) -> Tensor:
        patches = x_BNC[:, self.vit.num_prefix_tokens :]
        return patches.mT.unflatten(-1, self.vit.patch_embed.grid_size)


class Network(EncoderDecoder):
    """mmsegmentation's EncoderDecoder with the encoder above, whose forward pass returns `Outputs`."""

    def __init__(self, shape: Shape, *, stride: int, **parts: Any) -> None:
        """`parts` are mmsegmentation's own arguments; windows of `shape.crop`, `stride` pixels apart, evaluate."""
        size = (shape.crop, shape.crop)
        super().__init__(
            **parts,
            data_preprocessor=SegDataPreProcessor(
                mean=[123.675, 116.28, 103.53],
                std=[58.395, 57.12, 57.375],
                bgr_to_rgb=True,
                size=size,
                seg_pad_val=IGNORED,
                test_cfg={"size": size},
            ),
            test_cfg=ConfigDict(mode="slide", crop_size=size, stride=(stride, stride)),
        )

    def features(self, images: Tensor) -> tuple[Maps, Tensor]:
        """What the heads read, and the encoder's penalty."""
        maps, penalty = self.backbone(images)
        return self.neck(maps) if self.with_neck else maps, penalty

    def extract_feat(self, inputs: Tensor) -> Maps:
        """What mmsegmentation hands to the decode head when it predicts."""
        return self.features(inputs)[0]

    def losses(self, outputs: Outputs, data_samples: Any) -> dict[str, Tensor]:
        """mmsegmentation's losses of every head under its own names, and the penalty as one more."""
        logits, penalty = outputs
        found = {"loss_penalty": penalty}
        for (name, attribute), given in zip(_HEADS.items(), logits, strict=False):
            head = getattr(self, attribute)
            found |= add_prefix(head.loss_by_feat(given, data_samples), name)
        return found

    def loss(self, inputs: Tensor, data_samples: Any) -> dict[str, Tensor]:
        """What mmengine's own loops would ask for."""
        return self.losses(self._forward(inputs), data_samples)


def adopt(model: Any, weights: Mapping[str, Tensor]) -> None:
    """Give the encoder a classifier's weights, without its head; timm resamples the position embedding.

    A classifier of grey pictures spreads its kernels evenly over the three colours.

    Raises:
        ValueError: the classifier is of another depth, width, patch or variant.
    """
    encoder = model.backbone.vit
    found = {name: tensor for name, tensor in weights.items() if not name.startswith("head.")}
    kernel = found["patch_embed.proj.weight"]
    if kernel.shape[1] == 1:
        found["patch_embed.proj.weight"] = kernel.expand(-1, 3, -1, -1) / 3
    wanted = encoder.state_dict()
    for name in sorted(set(wanted) ^ set(found)):
        where = "the classifier" if name in found else "the encoder"
        raise ValueError(f"only {where} has {name}; give both the same depth and variant.")
    found = deit.fitted(found, encoder)
    for name, tensor in found.items():
        if tensor.shape != wanted[name].shape:
            sizes = f"{tuple(tensor.shape)} in the classifier and {tuple(wanted[name].shape)} in the encoder"
            raise ValueError(f"{name} is {sizes}; give both the same width and patch.")
    encoder.load_state_dict(found)
