"""Words in, costs out: what decoders share, whatever stands between the embedding and the softmax tied to it.

Logits become costs in float32 (float64 in a float64 model), under bfloat16 autocast too.
Shapes: B sequences, N tokens, C channels.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from jobs.data.text import PADDING
from jobs.hosts.adaptive import AdaptiveInput, AdaptiveSoftmax, EqualSoftmax, wide

BANDS = ("falling", "equal")
"""Channels of rarer bands under the adaptive softmax: a quarter each time (fairseq), or all C (Transformer-XL)."""


class WordDecoder(nn.Module):
    """A decoder with `embed_tokens`, whose subclasses turn words (B, N) into hidden states (B, N, C) and a penalty."""

    context: int
    embed_tokens: nn.Embedding | AdaptiveInput

    def tie(self, cutoffs: tuple[int, ...]) -> None:
        """Add the output that shares its weights with `embed_tokens`; last, because that is where its names belong."""
        if isinstance(self.embed_tokens, AdaptiveInput):
            self.adaptive_softmax: AdaptiveSoftmax | EqualSoftmax = AdaptiveSoftmax(self.embed_tokens)
        elif cutoffs:
            self.adaptive_softmax = EqualSoftmax(self.embed_tokens, cutoffs)
        else:
            words, width = self.embed_tokens.weight.shape
            self.output_projection = nn.Linear(width, words, bias=False)
            self.output_projection.weight = self.embed_tokens.weight

    def log_probabilities(self, x: Tensor) -> Tensor:
        """(B, N, words) [nat] from hidden states."""
        if hasattr(self, "adaptive_softmax"):
            return self.adaptive_softmax.log_probabilities(x)
        return wide(self.output_projection(x)).log_softmax(-1)

    def cost(self, x: Tensor, target: Tensor) -> Tensor:
        """-log p of each target word, (B, N) [nat], from hidden states."""
        if hasattr(self, "adaptive_softmax"):
            found: Tensor = self.adaptive_softmax(x, target)
            return found
        logits = wide(self.output_projection(x))
        return cross_entropy(logits.flatten(0, 1), target.flatten(), reduction="none").view_as(target)

    def expect_fits(self, source: Tensor) -> int:
        """The number of tokens in each sequence.

        Raises:
            ValueError: the sequences are longer than the model's context.
        """
        tokens = source.shape[1]
        if tokens > self.context:
            raise ValueError(f"A sequence of {tokens} tokens exceeds the model's context of {self.context}.")
        return tokens


class LanguageModel(nn.Module):
    """Source and target words (B, N) in; the cost of each target (B, N) [nat] and the penalty out."""

    def __init__(self, decoder: WordDecoder) -> None:
        super().__init__()
        self.decoder = decoder

    def forward(self, source: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        x, penalty = self.decoder(source)
        return self.decoder.cost(x, target), penalty


def fairseq_embedding(words: int, width: int, cutoffs: tuple[int, ...], bands: str) -> nn.Embedding | AdaptiveInput:
    """The embedding drawn as fairseq draws it: N(0, 1 / C), the padding word zero."""
    if cutoffs and bands == "falling":
        return AdaptiveInput(words, width, cutoffs)
    embedding = nn.Embedding(words, width, PADDING)
    nn.init.normal_(embedding.weight, std=1 / math.sqrt(width))
    with torch.no_grad():
        embedding.weight[PADDING].zero_()
    return embedding
