"""Segmenter on mmsegmentation: the DeiT host as encoder, a mask transformer as decoder, the variant in both.

    encoder   patches -> blocks -> one token per patch
    decoder   [patch tokens, class tokens] -> blocks; logits = cosine of patch and class tokens, layer-normalised

Source: Strudel, Garcia, Laptev, Schmid, "Segmenter: Transformer for Semantic Segmentation", ICCV 2021. Encoder and
decoder are two stacks: each counts its layers from 0 and keeps its own first-layer tensors.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from jobs.api import Layer, Plug
from jobs.data.labelled import IGNORED
from jobs.hosts import deit
from jobs.hosts.encoder import STD, Encoder, Maps, Network, Outputs, Shape
from jobs.hosts.stack import Stack
from jobs.openmmlab import MODELS, SegmenterMaskTransformerHead


@MODELS.register_module()
class MaskTransformer(SegmenterMaskTransformerHead):
    """mmsegmentation's head with the DeiT host's blocks for layers; logits and the blocks' penalty out."""

    def __init__(self, shape: Shape, plug: Plug) -> None:
        super().__init__(
            in_channels=shape.width,
            channels=shape.decoder_width,
            num_classes=shape.classes,
            num_layers=0,
            num_heads=shape.decoder_heads,
            embed_dims=shape.decoder_width,
            dropout_ratio=0.0,
            ignore_index=IGNORED,
        )
        blocks = [_block(shape) for _ in range(shape.decoder_depth)]
        self.layers = Stack(*blocks)
        self._initialise(shape.embedding_std)  # before the first variant exists, whose weights are its own affair
        for index, block in enumerate(blocks):
            layer = Layer(index, shape.decoder_depth, shape.decoder_width, shape.decoder_heads, causal=False)
            attention: Any = block.attn
            attention.plant(plug(layer))

    def _initialise(self, embedding_std: float) -> None:
        self.init_weights()
        with torch.no_grad():
            self.cls_emb.mul_(embedding_std / STD)

    def forward(self, inputs: Maps) -> tuple[Tensor, Tensor]:
        """The encoder's map in; logits (B, K, h, w) and this stack's penalty out."""
        map_BChw = inputs[-1]
        x = self.dec_proj(map_BChw.flatten(2).mT)
        x = torch.cat((x, self.cls_emb.expand(len(x), -1, -1)), 1)
        x, penalty = self.layers(x)
        last: Any = self.layers[-1]
        x = self.decoder_norm(deit.enter(last.variant, x))
        patches, classes = x.split([x.shape[1] - self.num_classes, self.num_classes], 1)
        patches = normalize(self.patch_proj(patches), dim=-1)
        classes = normalize(self.classes_proj(classes), dim=-1)
        masks_BNK = self.mask_norm(patches @ classes.mT)
        return masks_BNK.mT.unflatten(-1, map_BChw.shape[-2:]), penalty

    def predict(self, inputs: Maps, batch_img_metas: Any, test_cfg: Any) -> Tensor:
        """Logits at the size of the input, (B, K, height, width)."""
        logits: Tensor = self.predict_by_feat(self(inputs)[0], batch_img_metas)
        return logits


class Segmenter(Network):
    """Encoder and mask transformer."""

    def _forward(self, inputs: Tensor, data_samples: Any = None) -> Outputs:
        maps, before = self.features(inputs)
        logits, penalty = self.decode_head(maps)
        return (logits,), before + penalty


def _block(shape: Shape) -> deit.Block:
    """A block of mmsegmentation's decoder, its variant still to come."""
    return deit.Block(
        shape.decoder_width,
        shape.decoder_heads,
        qkv_bias=True,
        attn_layer=deit.Attention,
        norm_layer=nn.LayerNorm,
        attn_drop=shape.decoder_dropout,
        proj_drop=shape.decoder_dropout,
    )


def create(shape: Shape, plug: Plug, *, stride: int) -> Segmenter:
    """The network of the two.

    Args:
        shape: the sizes.
        plug: builds the variant of a layer; called for the encoder's layers, then the decoder's.
        stride: of the sliding window in evaluation [pixels]; the window is as large as a training crop.
    """
    return Segmenter(
        shape,
        stride=stride,
        backbone={"type": Encoder, "shape": shape, "plug": plug, "layers": (shape.depth - 1,)},
        decode_head={"type": MaskTransformer, "shape": shape, "plug": plug},
    )
