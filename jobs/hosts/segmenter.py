"""Segmenter on mmsegmentation: the DeiT host as encoder, a mask transformer as decoder, the variant in both.

    encoder   patches -> blocks -> one token per patch
    decoder   [patch tokens, class tokens] -> blocks; logits = cosine of patch and class tokens, layer-normalised

Source: Strudel, Garcia, Laptev, Schmid, "Segmenter: Transformer for Semantic Segmentation", ICCV 2021. Encoder and
decoder are two stacks: each counts its layers from 0 and keeps its own first-layer tensors.
Shapes: B batch, N tokens, C channels, K classes, h x w patches.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from jobs.api import Layer, Plug
from jobs.hosts import deit
from jobs.hosts.openmmlab import (
    MODELS,
    BaseModule,
    ConfigDict,
    EncoderDecoder,
    SegDataPreProcessor,
    SegmenterMaskTransformerHead,
)
from jobs.hosts.scenes import IGNORED
from jobs.hosts.stack import Stack

_ENCODER = "deit_tiny_patch16_224"
"""Whose architecture the encoder follows; every size of it is set anew."""
_STD = 0.02


@dataclasses.dataclass(frozen=True)
class Shape:
    """Sizes of a Segmenter.

    Args:
        crop: height and width of an input [pixels], a multiple of `patch`.
        patch: height and width of a patch [pixels].
        width: channels C of encoder and decoder.
        depth, decoder_depth: layers of the two stacks.
        heads: of both stacks.
        classes: K.
        drop_path: greatest probability with which the encoder skips a branch.
        embedding_std: of the initial position and class embeddings; timm and mmsegmentation have 0.02.
    """

    crop: int
    patch: int
    width: int
    depth: int
    heads: int
    decoder_depth: int
    classes: int
    drop_path: float = 0.0
    embedding_std: float = _STD


@MODELS.register_module()
class Encoder(BaseModule):
    """Images (B, 3, crop, crop) in; patch tokens as a map (B, C, h, w) and the penalty out."""

    def __init__(self, shape: Shape, plug: Plug) -> None:
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
        self.vit = deit.create(_ENCODER, plug, options)
        with torch.no_grad():
            deit.positions(self.vit).mul_(shape.embedding_std / _STD)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        x_BNC, penalty = self.vit.tokens(images)
        patches = x_BNC[:, self.vit.num_prefix_tokens :]
        return patches.mT.unflatten(-1, self.vit.patch_embed.grid_size), penalty


@MODELS.register_module()
class MaskTransformer(SegmenterMaskTransformerHead):
    """mmsegmentation's head with the DeiT host's blocks for layers: an encoder's output in, logits and penalty out."""

    def __init__(self, shape: Shape, plug: Plug) -> None:
        super().__init__(
            in_channels=shape.width,
            channels=shape.width,
            num_classes=shape.classes,
            num_layers=0,
            num_heads=shape.heads,
            embed_dims=shape.width,
            dropout_ratio=0.0,
            ignore_index=IGNORED,
        )
        blocks = [_block(shape) for _ in range(shape.decoder_depth)]
        self.layers = Stack(*blocks)
        self._initialise(shape.embedding_std)  # before the first variant exists, whose weights are its own affair
        for index, block in enumerate(blocks):
            layer = Layer(index, shape.decoder_depth, shape.width, shape.heads, causal=False)
            block.attn.variant = plug(layer)

    def _initialise(self, embedding_std: float) -> None:
        self.init_weights()
        with torch.no_grad():
            self.cls_emb.mul_(embedding_std / _STD)

    def forward(self, inputs: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """The encoder's map and penalty in; logits (B, K, h, w) and both stacks' penalty out."""
        map_BChw, before = inputs
        x = self.dec_proj(map_BChw.flatten(2).mT)
        x = torch.cat((x, self.cls_emb.expand(len(x), -1, -1)), 1)
        x, penalty = self.layers(x)
        last: Any = self.layers[-1]
        x = self.decoder_norm(deit.enter(last.variant, x))
        patches, classes = x.split([x.shape[1] - self.num_classes, self.num_classes], 1)
        patches = normalize(self.patch_proj(patches), dim=-1)
        classes = normalize(self.classes_proj(classes), dim=-1)
        masks_BNK = self.mask_norm(patches @ classes.mT)
        return masks_BNK.mT.unflatten(-1, map_BChw.shape[-2:]), before + penalty

    def loss(self, inputs: tuple[Tensor, Tensor], batch_data_samples: Any, train_cfg: Any) -> dict[str, Tensor]:
        """mmsegmentation's losses, with the penalty as one more."""
        logits, penalty = self(inputs)
        losses: dict[str, Tensor] = self.loss_by_feat(logits, batch_data_samples)
        return losses | {"loss_penalty": penalty}

    def predict(self, inputs: tuple[Tensor, Tensor], batch_img_metas: Any, test_cfg: Any) -> Tensor:
        """Logits at the size of the input, (B, K, height, width)."""
        logits: Tensor = self.predict_by_feat(self(inputs)[0], batch_img_metas)
        return logits


def _block(shape: Shape) -> deit.Block:
    """A block of mmsegmentation's decoder, its variant still to come."""
    return deit.Block(shape.width, shape.heads, qkv_bias=True, attn_layer=deit.Attention, norm_layer=nn.LayerNorm)


def create(shape: Shape, plug: Plug, *, stride: int) -> Any:
    """mmsegmentation's EncoderDecoder of the two.

    Args:
        shape: the sizes.
        plug: builds the variant of a layer; called for the encoder's layers, then the decoder's.
        stride: of the sliding window in evaluation [pixels]; the window is as large as a training crop.
    """
    size = (shape.crop, shape.crop)
    return EncoderDecoder(
        backbone={"type": Encoder, "shape": shape, "plug": plug},
        decode_head={"type": MaskTransformer, "shape": shape, "plug": plug},
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
