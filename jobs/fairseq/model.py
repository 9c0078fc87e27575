"""fairseq's transformer language model with a variant in every layer: `--arch unsmooth_lm --variant NAME`.

Everything that is not the variant is drawn as fairseq draws it: for a seed the other weights are those of the
untouched `transformer_lm`, whatever the variant.
"""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Optional

import torch
from fairseq.models import register_model
from fairseq.models.transformer import TransformerConfig
from fairseq.models.transformer_lm import TransformerLanguageModel, TransformerLanguageModelConfig
from omegaconf import II
from torch import Tensor

from jobs import registry
from jobs.api import Layer, Plug
from jobs.errors import JobError
from jobs.fairseq.layer import Passage, VariantLayer, listen

ARCHITECTURE = "unsmooth_lm"

_REFUSED = ("scale_attn", "scale_heads", "base_layers", "decoder_layerdrop", "quant_noise_pq", "character_embeddings")
"""Options of fairseq's decoder that change a layer in ways variants are not written for."""


def _option(default: Any, text: str) -> Any:
    return field(default=default, metadata={"help": text})


@dataclass
class VariantConfig(TransformerLanguageModelConfig):
    """fairseq's own options, and which variant sits in the layers."""

    variant: str = _option("softmax", "name of the variant in every layer")
    variant_arguments: str = _option("{}", "its arguments, a JSON object")
    variant_file: Optional[str] = _option(None, "file that defines it, if it comes from outside")  # noqa: UP045  # read by fairseq
    seed: int = II("common.seed")


@register_model(ARCHITECTURE, dataclass=VariantConfig)
class VariantLanguageModel(TransformerLanguageModel):
    """Words (B, N) in; fairseq's decoder output and a dictionary that also holds the `penalty` out."""

    @classmethod
    def build_model(cls, args: Any, task: Any) -> "VariantLanguageModel":
        used = [name for name in _REFUSED if getattr(args, name, 0)]
        if used:
            raise JobError(f"--{used[0].replace('_', '-')} is not supported together with variants; leave it out.")
        plug = _plug(args)
        model = super().build_model(args, task)
        config = TransformerConfig.from_namespace(args)
        layers = model.decoder.layers
        for index, untouched in enumerate(layers):
            place = Layer(index, len(layers), config.decoder.embed_dim, config.decoder.attention_heads, causal=True)
            layers[index] = _with_variant(untouched, config, plug, place)
        if model.decoder.layer_norm is not None:
            listen(model.decoder.layer_norm, layers[-1].variant)
        return model

    def forward(self, src_tokens: Tensor, **options: Any) -> tuple[Tensor, dict[str, Any]]:
        passage = Passage()
        x, extra = super().forward(
            src_tokens, encoder_out={"encoder_out": [passage], "encoder_padding_mask": []}, **options
        )
        return x, extra | {"penalty": passage.penalty}


def _with_variant(untouched: Any, config: Any, plug: Plug, place: Layer) -> VariantLayer:
    """A layer with the untouched one's weights; the global random stream is left where it was."""
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        layer = VariantLayer(config)
        layer.load_state_dict(untouched.state_dict())
        layer.plant(plug(place))
    return layer


def _plug(args: Any) -> Plug:
    file = args.variant_file
    cls = registry.variant_from_file(Path(file)) if file else registry.variant(args.variant)
    return registry.plug(cls, args.variant, json.loads(args.variant_arguments), args.seed)
