"""mmsegmentation's own networks, untouched, of the sizes of ours; and our names for their weights."""

import re
from typing import Any

from jobs.data.labelled import IGNORED
from jobs.hosts.encoder import Shape
from jobs.openmmlab import MODELS, EncoderDecoder, SegDataPreProcessor

NAMES = (
    ("attn.attn.in_proj_weight", "attn.qkv.weight"),
    ("attn.attn.in_proj_bias", "attn.qkv.bias"),
    ("attn.attn.out_proj", "attn.proj"),
    ("ffn.layers.0.0", "mlp.fc1"),
    ("ffn.layers.1", "mlp.fc2"),
    ("ln1", "norm1"),
    ("ln2", "norm2"),
    ("backbone.patch_embed.projection", "backbone.vit.patch_embed.proj"),
    ("backbone.layers.", "backbone.vit.blocks."),
)
"""mmsegmentation's layers call PyTorch's MultiheadAttention and mmcv's FFN, ours timm's; q, k, v lie in one order."""


def renamed(weights: dict[str, Any]) -> dict[str, Any]:
    """What belongs to each of our names, given mmsegmentation's."""
    found = {}
    for name, value in weights.items():
        for theirs, ours in NAMES:
            name = name.replace(theirs, ours)
        name = re.sub(r"^backbone\.(pos_embed|cls_token)$", r"backbone.vit.\1", name)
        found[re.sub(r"^backbone\.norm1", "backbone.vit.norm", name)] = value
    return found


def segmenter(shape: Shape) -> EncoderDecoder:
    """As configs/segmenter has it."""
    head = {
        "type": "SegmenterMaskTransformerHead",
        "in_channels": shape.width,
        "channels": shape.decoder_width,
        "num_classes": shape.classes,
        "num_layers": shape.decoder_depth,
        "num_heads": shape.decoder_heads,
        "embed_dims": shape.decoder_width,
        "drop_path_rate": 0.0,
        "dropout_ratio": 0.0,
        "ignore_index": IGNORED,
    }
    return _network(shape, _backbone(shape), decode_head=head)


def upernet(shape: Shape) -> EncoderDecoder:
    """As configs/vit has it for DeiT with multi-level neck and final norm."""
    width, four = shape.width, [shape.width] * 4
    every = {"dropout_ratio": shape.decoder_dropout, "num_classes": shape.classes, "ignore_index": IGNORED}
    every |= {"norm_cfg": {"type": "BN", "requires_grad": True}, "align_corners": False}
    decode = {"type": "UPerHead", "in_channels": four, "in_index": [0, 1, 2, 3], "channels": shape.decoder_width}
    auxiliary = {"type": "FCNHead", "in_channels": width, "in_index": 3, "channels": shape.decoder_width // 2}
    weight = {"type": "CrossEntropyLoss", "loss_weight": 0.4}
    layers = [shape.depth * part // 4 - 1 for part in (1, 2, 3, 4)]
    return _network(
        shape,
        _backbone(shape) | {"out_indices": layers},
        neck={"type": "MultiLevelNeck", "in_channels": four, "out_channels": width, "scales": [4, 2, 1, 0.5]},
        decode_head=decode | every,
        auxiliary_head=auxiliary | every | {"num_convs": 1, "concat_input": False, "loss_decode": weight},
    )


def _backbone(shape: Shape) -> dict[str, Any]:
    return {
        "type": "VisionTransformer",
        "img_size": (shape.crop, shape.crop),
        "patch_size": shape.patch,
        "patch_bias": True,  # timm's patches have one
        "embed_dims": shape.width,
        "num_layers": shape.depth,
        "num_heads": shape.heads,
        "drop_path_rate": shape.drop_path,
        "final_norm": True,
        "norm_cfg": {"type": "LN", "eps": 1e-6},
    }


def _network(shape: Shape, backbone: dict[str, Any], **parts: Any) -> EncoderDecoder:
    size = (shape.crop, shape.crop)
    mean, std = [123.675, 116.28, 103.53], [58.395, 57.12, 57.375]
    preprocessor = SegDataPreProcessor(mean, std, size, seg_pad_val=IGNORED, bgr_to_rgb=True)
    built: EncoderDecoder = MODELS.build(
        {"type": "EncoderDecoder", "backbone": backbone, "data_preprocessor": preprocessor, **parts}
    )
    return built
