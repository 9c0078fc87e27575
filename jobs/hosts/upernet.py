"""UPerNet on mmsegmentation: the DeiT host as encoder, with the variant; a feature pyramid and convolutions decode.

    levels    the encoder's maps after a quarter, half, three quarters and all of its layers, resized by 4, 2, 1, 1/2
    decoder   pyramid pooling of the coarsest level, top-down sums, one convolution over all; an FCN head helps training

Source: Xiao et al., "Unified Perceptual Parsing for Scene Understanding", ECCV 2018. Neck, heads and their sizes are
mmsegmentation's own, as in its configuration of UPerNet on DeiT-small with multi-level neck and final norm. Its heads
normalise over the batch, so the same batch in other shares per forward pass is another computation.
"""

import math
from typing import Any

import torch
from torch import Tensor

from jobs.api import Plug
from jobs.data.labelled import IGNORED
from jobs.errors import JobError
from jobs.hosts.encoder import Encoder, Network, Outputs, Shape
from jobs.openmmlab import FCNHead, MultiLevelNeck, UPerHead, get_world_size

_SCALES = (4, 2, 1, 0.5)
"""What the encoder's levels are resized by, first to last."""
_AUXILIARY_WEIGHT = 0.4


class UPerNet(Network):
    """Encoder, neck, decode head and auxiliary head."""

    def _forward(self, inputs: Tensor, data_samples: Any = None) -> Outputs:
        shared = get_world_size() if inputs.is_cuda else 1
        if self.training and len(inputs) * shared < 2:
            raise JobError(
                "UPerNet normalises over the batch, so it trains on 2 pictures or more per forward pass, got 1; "
                "use a larger global_batch or micro_batch, or fewer processes."
            )
        maps, penalty = self.features(inputs)
        logits = self.decode_head(maps)
        return (logits, self.auxiliary_head(maps)) if self.training else (logits,), penalty


def levels(depth: int) -> tuple[int, ...]:
    """After which layers the encoder is tapped.

    >>> levels(12), levels(3)
    ((2, 5, 8, 11), (0, 1, 2, 2))
    """
    return tuple(math.ceil(depth * quarter / len(_SCALES)) - 1 for quarter in range(1, len(_SCALES) + 1))


def norm(processes: int, *, cuda: bool) -> dict[str, Any]:
    """The heads' normalisation, as mmsegmentation is told it: over all processes where the device can."""
    return {"type": "SyncBN" if cuda and processes > 1 else "BN", "requires_grad": True}


def create(shape: Shape, plug: Plug, *, stride: int) -> UPerNet:
    """The network, its weights as mmsegmentation starts with them.

    Args:
        shape: the sizes; `decoder_width` is the decode head's, the auxiliary head has half of it.
        plug: builds the variant of a layer; called for the encoder's layers.
        stride: of the sliding window in evaluation [pixels]; the window is as large as a training crop.
    """
    tapped = levels(shape.depth)
    every = {
        "num_classes": shape.classes,
        "dropout_ratio": shape.decoder_dropout,
        "norm_cfg": norm(get_world_size(), cuda=torch.cuda.is_available()),
        "align_corners": False,
        "ignore_index": IGNORED,
    }
    model = UPerNet(
        shape,
        stride=stride,
        backbone={"type": Encoder, "shape": shape, "plug": plug, "layers": tapped},
        neck={
            "type": MultiLevelNeck,
            "in_channels": [shape.width] * len(tapped),
            "out_channels": shape.width,
            "scales": list(_SCALES),
        },
        decode_head=every | _pyramid(shape, len(tapped)),
        auxiliary_head=every | _fully_convolutional(shape, len(tapped) - 1),
    )
    for part in (model.neck, model.decode_head, model.auxiliary_head):
        part.init_weights()  # not the encoder's, which timm has initialised and where the variants are
    return model


def _pyramid(shape: Shape, count: int) -> dict[str, Any]:
    return {
        "type": UPerHead,
        "in_channels": [shape.width] * count,
        "in_index": list(range(count)),
        "channels": shape.decoder_width,
        "pool_scales": (1, 2, 3, 6),
        "loss_decode": {"type": "CrossEntropyLoss", "loss_weight": 1.0},
    }


def _fully_convolutional(shape: Shape, level: int) -> dict[str, Any]:
    return {
        "type": FCNHead,
        "in_channels": shape.width,
        "in_index": level,
        "channels": max(1, shape.decoder_width // 2),
        "num_convs": 1,
        "concat_input": False,
        "loss_decode": {"type": "CrossEntropyLoss", "loss_weight": _AUXILIARY_WEIGHT},
    }
