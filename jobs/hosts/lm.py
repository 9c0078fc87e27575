"""A causal transformer decoder with the parameter names and the arithmetic of fairseq's `transformer_lm`.

    x = dropout(sqrt(C) E[tokens] + positions)                    positions are sinusoids [sin | cos] counted from 2
    x = norm(enter(x + dropout(refine(out_proj(mix(A, v_proj x))))))   A = causal softmax(q k^T / sqrt(D))
    x = norm(enter(x + dropout(fc2 relu(fc1 x))))                 both norms move to the branch's entrance if asked
    logits = E x, or the adaptive softmax tied to the embedding

Source: Ott et al., "fairseq: A Fast, Extensible Toolkit for Sequence Modeling", NAACL 2019 (demonstrations), 0.12.2.
Shapes: B sequences, H heads, N tokens, D channels per head, C = H D; hidden states are (B, 1, N, C), as variants see
them. A variant's parameters lie under `decoder.layers.<n>.self_attn.variant`; nothing else differs from fairseq's.
"""

import dataclasses
import functools
import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from jobs.api import Layer, Plug, Variant
from jobs.data.text import PADDING
from jobs.hosts import words
from jobs.hosts.stack import Stack, recall, retain
from jobs.hosts.words import WordDecoder, fairseq_embedding
from jobs.operators.attention import Attention

Map = Callable[[Tensor], Tensor]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Shape:
    """Sizes and options of a decoder.

    `cutoffs` are the adaptive softmax's, empty for one softmax over all words; `bands` is one of `words.BANDS`.
    """

    vocabulary: int
    context: int
    depth: int
    width: int
    heads: int
    ffn: int
    cutoffs: tuple[int, ...] = ()
    bands: str = "falling"
    normalize_before: bool = False
    dropout: float = 0.0
    attention_dropout: float = 0.0
    activation_dropout: float = 0.0


def sinusoids(rows: int, width: int) -> Tensor:
    """(rows, width) positions from PADDING + 1 on, sines in the first half of the channels, cosines in the second."""
    half = width // 2
    rates = torch.exp(torch.arange(half, dtype=torch.float) * -(math.log(10_000) / (half - 1)))
    angles = torch.arange(PADDING + 1, PADDING + 1 + rows, dtype=torch.float)[:, None] * rates
    return torch.cat([angles.sin(), angles.cos()], 1)


class Positions(nn.Module):
    """The sinusoids, without a parameter; `_float_tensor` is a placeholder in fairseq's checkpoints."""

    table: Tensor

    def __init__(self, rows: int, width: int) -> None:
        super().__init__()
        self.register_buffer("_float_tensor", torch.zeros(1))
        self.register_buffer("table", sinusoids(rows, width), persistent=False)

    def forward(self, tokens: int) -> Tensor:
        """(N, C) for the first N positions."""
        return self.table[:tokens]


class SelfAttention(nn.Module):
    """Causal self-attention through the variant, (B, 1, N, C) in and out."""

    def __init__(self, layer: Layer, plug: Plug, dropout: float) -> None:
        super().__init__()
        self.heads, self.dropout = layer.heads, dropout
        self.k_proj, self.v_proj, self.q_proj, self.out_proj = (nn.Linear(layer.width, layer.width) for _ in range(4))
        for projection in (self.k_proj, self.v_proj, self.q_proj):
            nn.init.xavier_uniform_(projection.weight, gain=1 / math.sqrt(2))
        nn.init.xavier_uniform_(self.out_proj.weight)
        nn.init.zeros_(self.out_proj.bias)
        self.variant: Variant = plug(layer)
        self.variant.begin([part.data for part in self.q_proj.parameters()])

    def forward(self, x: Tensor, memory: dict[str, Tensor]) -> Tensor:
        q_BHND, k_BHND, v_BHND = (self._split(part(x)) for part in (self.q_proj, self.k_proj, self.v_proj))
        dropout = self.dropout if self.training else 0.0
        a = Attention(q_BHND, k_BHND, x=x, memory=memory, causal=True, dropout=dropout)
        y: Tensor = self.variant(a, v_BHND, self._project)
        return y

    def _split(self, x: Tensor) -> Tensor:
        """(B, 1, N, C) -> (B, H, N, D)."""
        return x.squeeze(1).unflatten(-1, (self.heads, -1)).transpose(1, 2)

    def _project(self, mixed_BHND: Tensor) -> Tensor:
        y: Tensor = self.out_proj(mixed_BHND.transpose(1, 2).flatten(2))
        return y.unsqueeze(1)


class DecoderLayer(nn.Module):
    """Attention and feed-forward, each with its norm and residual connection."""

    def __init__(self, layer: Layer, plug: Plug, shape: Shape) -> None:
        super().__init__()
        self.normalize_before = shape.normalize_before
        self.dropout, self.activation_dropout = nn.Dropout(shape.dropout), nn.Dropout(shape.activation_dropout)
        self.self_attn = SelfAttention(layer, plug, shape.attention_dropout)
        self.self_attn_layer_norm = nn.LayerNorm(layer.width)
        self.fc1 = nn.Linear(layer.width, shape.ffn)
        self.fc2 = nn.Linear(shape.ffn, layer.width)
        self.final_layer_norm = nn.LayerNorm(layer.width)

    @property
    def variant(self) -> Variant:
        return self.self_attn.variant

    def forward(self, x: Tensor, context: None, *kept: Tensor | None) -> tuple[Tensor | None, ...]:
        memory, first = recall(self.variant, kept), x
        x = self._add(x, self.self_attn_layer_norm, functools.partial(self.self_attn, memory=memory))
        x = self._add(x, self.final_layer_norm, self._feed)
        x = self.variant.leave(x, first, memory)
        return x, self.variant.penalty(x), *retain(self.variant, memory)

    def _feed(self, x: Tensor) -> Tensor:
        return self.variant.feed(self.fc2(self.activation_dropout(torch.relu(self.fc1(x)))))

    def _add(self, x: Tensor, norm: nn.LayerNorm, branch: Map) -> Tensor:
        """x plus its branch; every norm receives what the variant's `enter` makes of its input."""
        if self.normalize_before:
            return x + self.dropout(branch(norm(self.variant.enter(x))))
        added: Tensor = norm(self.variant.enter(x + self.dropout(branch(x))))
        return added


class Decoder(WordDecoder):
    """Everything between word numbers and hidden states, and the tied output."""

    def __init__(self, shape: Shape, plug: Plug) -> None:
        super().__init__()
        self.context, self.scale = shape.context, math.sqrt(shape.width)
        self.register_buffer("version", torch.tensor([3.0]))
        self.embed_tokens = fairseq_embedding(shape.vocabulary, shape.width, shape.cutoffs, shape.bands)
        self.embed_positions = Positions(shape.context, shape.width)
        self.dropout = nn.Dropout(shape.dropout)
        layers = [Layer(i, shape.depth, shape.width, shape.heads, causal=True) for i in range(shape.depth)]
        self.layers = Stack(*(DecoderLayer(layer, plug, shape) for layer in layers))
        self.layer_norm = nn.LayerNorm(shape.width) if shape.normalize_before else None
        self.tie(shape.cutoffs)

    def forward(self, source: Tensor) -> tuple[Tensor, Tensor]:
        """Hidden states (B, N, C) of words (B, N), and the penalty.

        Raises:
            ValueError: the sequences are longer than the model's context.
        """
        tokens = self.expect_fits(source)
        x = self.dropout(self.scale * self.embed_tokens(source) + self.embed_positions(tokens))
        x, penalty = self.layers(x.unsqueeze(1))
        if self.layer_norm is not None:
            last: Any = self.layers[-1]
            x = self.layer_norm(last.variant.enter(x))
        return x.squeeze(1), penalty


class LanguageModel(words.LanguageModel):
    """This decoder with its costs: source and target words (B, N) in, (B, N) [nat] and the penalty out."""

    def __init__(self, shape: Shape, plug: Plug) -> None:
        super().__init__(Decoder(shape, plug))
