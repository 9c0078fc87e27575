"""A causal transformer decoder as today's language models have it, without biases.

    x = dropout(E[tokens])
    x = x + dropout(refine(o_proj(mix(A, v))))    A = causal softmax(R q (R k)^T / sqrt(D)), R the rotary embedding
    x = x + dropout(down(silu(gate h) * up h))    h = rms(enter(x)) / the entrance of both branches, and x's at the end
    logits = E x, or the adaptive softmax tied to the embedding

    rms(x) = w x / sqrt(mean(x^2) + 1e-6)         R turns channels (c, c + D / 2) of token n by n 10000^(-2 c / D)

k and v may have fewer heads than q (grouped-query attention); variants see v repeated to H heads.

Source: Touvron et al., "LLaMA: Open and Efficient Foundation Language Models", arXiv 2302.13971, 2023, and what it
is made of: Zhang, Sennrich, "Root Mean Square Layer Normalization", NeurIPS 2019; Su et al., "RoFormer", arXiv
2104.09864, 2021; Shazeer, "GLU Variants Improve Transformer", arXiv 2002.05202, 2020; Ainslie et al., "GQA", EMNLP
2023. Weights are drawn from N(0, 0.02), those that end a branch divided by sqrt(2 depth): Radford et al., "Language
Models are Unsupervised Multitask Learners", 2019. Parameter names are those of Hugging Face's Llama.
Shapes: B sequences, H heads, G heads of k and v, N tokens, D channels per head, C = H D; hidden states (B, 1, N, C).
"""

import dataclasses
import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import rms_norm, silu

from jobs.api import Layer, Plug, Variant
from jobs.hosts.adaptive import AdaptiveInput, wide
from jobs.hosts.stack import Stack, recall, retain
from jobs.hosts.words import LanguageModel, WordDecoder
from jobs.operators.attention import Attention

_EPSILON, _STD, _BASE = 1e-6, 0.02, 10_000.0

Turns = tuple[Tensor, Tensor]
"""Cosines and sines of the rotary angles, (N, D / 2) each."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Shape:
    """Sizes and options; `kv_heads` divides `heads`, `cutoffs` and `bands` are as in `lm.Shape`."""

    vocabulary: int
    context: int
    depth: int
    width: int
    heads: int
    kv_heads: int
    ffn: int
    cutoffs: tuple[int, ...] = ()
    bands: str = "falling"
    dropout: float = 0.0
    attention_dropout: float = 0.0
    activation_dropout: float = 0.0


def turns(tokens: int, channels: int, like: Tensor) -> Turns:
    """The rotary angles, computed in float64, in the precision of `like` but at least float32."""
    rates = _BASE ** -(torch.arange(0, channels, 2, dtype=torch.float64, device=like.device) / channels)
    angles = torch.arange(tokens, dtype=torch.float64, device=like.device)[:, None] * rates
    dtype = torch.promote_types(like.dtype, torch.float32)
    return angles.cos().to(dtype), angles.sin().to(dtype)


def rotate(x: Tensor, by: Turns) -> Tensor:
    """R x for x (..., N, D), in x's precision."""
    (cosine, sine), (left, right) = by, x.chunk(2, -1)
    return torch.cat([left * cosine - right * sine, right * cosine + left * sine], -1).to(x.dtype)


class RMSNorm(nn.Module):
    """w x / sqrt(mean(x^2) + 1e-6) over the channels, computed in float32 at least."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        x_wide = wide(x)
        return rms_norm(x_wide, self.weight.shape, self.weight.to(x_wide.dtype), _EPSILON).to(x.dtype)


class SelfAttention(nn.Module):
    """Causal self-attention through the variant, (B, 1, N, C) in and out."""

    def __init__(self, layer: Layer, plug: Plug, shape: Shape) -> None:
        super().__init__()
        self.heads, self.kv_heads, self.dropout = shape.heads, shape.kv_heads, shape.attention_dropout
        narrow = shape.width // shape.heads * shape.kv_heads
        self.q_proj, self.k_proj = _linear(shape.width, shape.width), _linear(shape.width, narrow)
        self.v_proj, self.o_proj = _linear(shape.width, narrow), _linear(shape.width, shape.width, ends=shape.depth)
        self.variant: Variant = plug(layer)
        self.variant.begin([self.q_proj.weight.data])

    def forward(self, x: Tensor, by: Turns, memory: dict[str, Tensor]) -> Tensor:
        q_BHND = rotate(self._split(self.q_proj(x), self.heads), by)
        k_BGND = rotate(self._split(self.k_proj(x), self.kv_heads), by)
        v_BGND = self._split(self.v_proj(x), self.kv_heads)
        dropout = self.dropout if self.training else 0.0
        a = Attention(q_BHND, self._repeat(k_BGND), x=x, memory=memory, causal=True, dropout=dropout)
        y: Tensor = self.variant(a, self._repeat(v_BGND), self._project)
        return y

    @staticmethod
    def _split(x: Tensor, heads: int) -> Tensor:
        """(B, 1, N, heads D) -> (B, heads, N, D)."""
        return x.squeeze(1).unflatten(-1, (heads, -1)).transpose(1, 2)

    def _repeat(self, x_BGND: Tensor) -> Tensor:
        """Each head as often as query heads share it; a view where one head serves all, or each its own."""
        if self.kv_heads == self.heads:
            return x_BGND
        return x_BGND.unsqueeze(2).expand(-1, -1, self.heads // self.kv_heads, -1, -1).flatten(1, 2)

    def _project(self, mixed_BHND: Tensor) -> Tensor:
        y: Tensor = self.o_proj(mixed_BHND.transpose(1, 2).flatten(2))
        return y.unsqueeze(1)


class SwiGLU(nn.Module):
    """down(silu(gate x) * up x)."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.gate_proj, self.up_proj = _linear(shape.width, shape.ffn), _linear(shape.width, shape.ffn)
        self.down_proj = _linear(shape.ffn, shape.width, ends=shape.depth)
        self.dropout = nn.Dropout(shape.activation_dropout)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.down_proj(self.dropout(silu(self.gate_proj(x)) * self.up_proj(x)))
        return y


class DecoderLayer(nn.Module):
    """Attention and feed-forward, each behind its norm; every norm receives what the variant's `enter` returns."""

    def __init__(self, layer: Layer, plug: Plug, shape: Shape) -> None:
        super().__init__()
        self.dropout = nn.Dropout(shape.dropout)
        self.input_layernorm, self.post_attention_layernorm = RMSNorm(shape.width), RMSNorm(shape.width)
        self.self_attn = SelfAttention(layer, plug, shape)
        self.mlp = SwiGLU(shape)

    @property
    def variant(self) -> Variant:
        return self.self_attn.variant

    def forward(self, x: Tensor, by: Turns, *kept: Tensor | None) -> tuple[Tensor | None, ...]:
        variant, first = self.variant, x
        memory = recall(variant, kept)
        x = x + self.dropout(self.self_attn(self.input_layernorm(variant.enter(x)), by, memory))
        x = x + self.dropout(variant.feed(self.mlp(self.post_attention_layernorm(variant.enter(x)))))
        x = variant.leave(x, first, memory)
        return x, variant.penalty(x), *retain(variant, memory)


class Decoder(WordDecoder):
    """Everything between word numbers and hidden states, and the tied output."""

    def __init__(self, shape: Shape, plug: Plug) -> None:
        super().__init__()
        self.context, self.channels = shape.context, shape.width // shape.heads
        self.embed_tokens = _embedding(shape)
        self.dropout = nn.Dropout(shape.dropout)
        layers = [Layer(i, shape.depth, shape.width, shape.heads, causal=True) for i in range(shape.depth)]
        self.layers = Stack(*(DecoderLayer(layer, plug, shape) for layer in layers))
        self.norm = RMSNorm(shape.width)
        self.tie(shape.cutoffs)

    def forward(self, source: Tensor) -> tuple[Tensor, Tensor]:
        """Hidden states (B, N, C) of words (B, N), and the penalty.

        Raises:
            ValueError: the sequences are longer than the model's context.
        """
        tokens = self.expect_fits(source)
        x = self.dropout(self.embed_tokens(source))
        x, penalty = self.layers(x.unsqueeze(1), turns(tokens, self.channels, x))
        last: Any = self.layers[-1]
        return self.norm(last.variant.enter(x)).squeeze(1), penalty


def model(shape: Shape, plug: Plug) -> LanguageModel:
    """This decoder with its costs."""
    return LanguageModel(Decoder(shape, plug))


def _linear(inputs: int, outputs: int, *, ends: int = 0) -> nn.Linear:
    """A map without bias; `ends` is the depth of the stack if the map is the last of a residual branch."""
    made = nn.Linear(inputs, outputs, bias=False)
    nn.init.normal_(made.weight, std=_STD / math.sqrt(2 * ends) if ends else _STD)
    return made


def _embedding(shape: Shape) -> nn.Embedding | AdaptiveInput:
    if shape.cutoffs and shape.bands == "falling":
        return AdaptiveInput(shape.vocabulary, shape.width, shape.cutoffs)
    embedding = nn.Embedding(shape.vocabulary, shape.width)
    nn.init.normal_(embedding.weight, std=_STD)
    return embedding
