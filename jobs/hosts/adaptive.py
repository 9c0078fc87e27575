"""Adaptive input and softmax, tied, with fairseq's parameter names: rare words get fewer channels and rarely cost.

    p(w) = head(w)                       for the first `cutoffs[0]` words
    p(w) = head(band of w) tail(w)       for the others, band by band

Words are numbered by falling frequency. Band i has C / 4^i channels and a linear map to C, shared by input and output
(fairseq's --tie-adaptive-weights --tie-adaptive-proj, factor 4), so that cutoffs (2000, 10000) make a step over 33,000
words several times cheaper. With equal bands every word has all C channels, a bias, and no map.
Source: Grave et al., "Efficient softmax approximation for GPUs", ICML 2017; Baevski, Auli, "Adaptive Input
Representations for Neural Language Modeling", ICLR 2019; equal bands: Dai et al., "Transformer-XL", ACL 2019
(div_val 1).
"""

import itertools

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, linear

from jobs.data.text import PADDING

_FACTOR = 4


def wide(x: Tensor) -> Tensor:
    """At least float32, whatever autocast made of it: softmax and loss are computed in that."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


class AdaptiveInput(nn.Module):
    """Embeds word numbers, band by band: (B, N) -> (B, N, C)."""

    def __init__(self, words: int, width: int, cutoffs: tuple[int, ...]) -> None:
        super().__init__()
        self.edges = (0, *cutoffs, words)
        self.width = width
        self.embeddings = nn.ModuleList()
        for band, (low, high) in enumerate(itertools.pairwise(self.edges)):
            channels = width // _FACTOR**band
            table = nn.Embedding(high - low, channels, PADDING if band == 0 else None)
            nn.init.normal_(table.weight, std=channels**-0.5)
            up = nn.Linear(channels, width, bias=False)
            nn.init.xavier_uniform_(up.weight)
            self.embeddings.append(nn.Sequential(table, up))
        nn.init.zeros_(self.embeddings[0][0].weight[PADDING])  # type: ignore[index]  # Sequentials index to modules
        self.register_buffer("_float_tensor", torch.zeros(1))

    def forward(self, words: Tensor) -> Tensor:
        flat = words.flatten()
        out = None
        for band, (low, high) in enumerate(itertools.pairwise(self.edges)):
            at = ((flat >= low) & (flat < high)).nonzero()[:, 0]
            part = self.embeddings[band](flat[at] - low)
            out = part.new_zeros(len(flat), self.width) if out is None else out
            out = out.index_copy(0, at, part)
        assert out is not None
        return out.view(*words.shape, self.width)


class _Tied(nn.Module):
    """A linear map with a weight that belongs to another module."""

    def __init__(self, weight: nn.Parameter, *, transpose: bool = False) -> None:
        super().__init__()
        self.weight, self.transpose = weight, transpose

    def forward(self, x: Tensor) -> Tensor:
        return linear(x, self.weight.T if self.transpose else self.weight)


class _Head(nn.Module):
    """Logits of the most frequent words, then of the bands."""

    def __init__(self, weight: nn.Parameter, width: int, bands: int) -> None:
        super().__init__()
        self.word_proj = _Tied(weight)
        self.class_proj = nn.Linear(width, bands, bias=False)
        nn.init.xavier_uniform_(self.class_proj.weight)
        self.register_buffer("_float_tensor", torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.word_proj(x), self.class_proj(x)], -1)


class _Bands(nn.Module):
    """-log p of each target: hidden states (B, N, C) and words (B, N) in, (B, N) [nat] out."""

    def __init__(self, edges: tuple[int, ...]) -> None:
        super().__init__()
        self.edges = edges

    def frequent(self, x: Tensor) -> Tensor:
        """Logits of the most frequent words, then of the bands."""
        raise NotImplementedError

    def rare(self, band: int, x: Tensor) -> Tensor:
        """Logits of the words of `band`, 1 or more."""
        raise NotImplementedError

    def forward(self, x: Tensor, target: Tensor) -> Tensor:
        hidden, words = x.flatten(0, 1), target.flatten()
        band = torch.bucketize(words, torch.tensor(self.edges[1:-1], device=words.device), right=True)
        first = self.edges[1]
        place = torch.where(band == 0, words, first - 1 + band)
        cost = cross_entropy(wide(self.frequent(hidden)), place, reduction="none")
        for i in range(1, len(self.edges) - 1):
            at = (band == i).nonzero()[:, 0]  # an empty band still runs, so that every parameter gets a gradient
            logits = wide(self.rare(i, hidden[at]))
            cost = cost.index_add(0, at, cross_entropy(logits, words[at] - self.edges[i], reduction="none"))
        return cost.view_as(target)

    def log_probabilities(self, x: Tensor) -> Tensor:
        """(B, N, words) [nat]."""
        first = self.edges[1]
        head = wide(self.frequent(x)).log_softmax(-1)
        bands = range(1, len(self.edges) - 1)
        tails = [head[..., first - 1 + i, None] + wide(self.rare(i, x)).log_softmax(-1) for i in bands]
        return torch.cat([head[..., :first], *tails], -1)


class AdaptiveSoftmax(_Bands):
    """Falling bands, tied to an adaptive input: each has a quarter of the channels of the one before."""

    def __init__(self, tied: AdaptiveInput) -> None:
        super().__init__(tied.edges)
        pairs = [(band[0].weight, band[1].weight) for band in tied.embeddings]  # type: ignore[index]  # as above
        self.head = _Head(pairs[0][0], tied.width, len(pairs) - 1)
        self.tail = nn.ModuleList(
            nn.Sequential(_Tied(up, transpose=True), nn.Identity(), _Tied(table)) for table, up in pairs[1:]
        )
        self.register_buffer("version", torch.tensor([1]))

    def frequent(self, x: Tensor) -> Tensor:
        return self.head(x)

    def rare(self, band: int, x: Tensor) -> Tensor:
        return self.tail[band - 1](x)


class EqualSoftmax(_Bands):
    """Equal bands over one embedding table, with a bias for every word and every band."""

    def __init__(self, tied: nn.Embedding, cutoffs: tuple[int, ...]) -> None:
        words, width = tied.weight.shape
        super().__init__((0, *cutoffs, words))
        self.weight = tied.weight
        self.bias = nn.Parameter(torch.zeros(words))
        self.band_weight = nn.Parameter(torch.empty(len(cutoffs), width))
        self.band_bias = nn.Parameter(torch.zeros(len(cutoffs)))
        nn.init.xavier_uniform_(self.band_weight)

    def frequent(self, x: Tensor) -> Tensor:
        first = self.edges[1]
        words, bands = linear(x, self.weight[:first], self.bias[:first]), linear(x, self.band_weight, self.band_bias)
        return torch.cat([words, bands], -1)

    def rare(self, band: int, x: Tensor) -> Tensor:
        low, high = self.edges[band : band + 2]
        return linear(x, self.weight[low:high], self.bias[low:high])
