"""Language modelling with a causal transformer decoder: perplexity as fairseq computes it, best validation tested."""

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor, nn

from jobs.api import Dataset, Draw, Metric, Plug, Task
from jobs.errors import DataError

if TYPE_CHECKING:
    from jobs.hosts.text import Corpus

_EVALUATION_TOKENS = 4096
"""Tokens scored in one forward pass; a constant, because it may change the last digits."""
_PROBED = 8
"""Validation blocks on which the over-smoothing metrics are measured."""


class Language(Task):
    """A transformer decoder of `depth` layers on running text; the global batch counts blocks of `context` tokens.

    Args:
        architecture: fairseq's transformer_lm, or modern: pre-norm RMSNorm, rotary, SwiGLU, no biases.
        depth: layers, >= 1.
        width: channels C, an even number >= 4 that `heads` divides.
        heads: attention heads.
        kv_heads: heads of keys and values, a divisor of `heads` (modern only); 0 means as many as `heads`.
        ffn: channels of the feed-forward layer.
        context: tokens per block, in training and in each window of the evaluation.
        context_window: tokens of context that sliding windows share with their predecessors, in [0, context - 1].
        dropout: probability in [0, 1), after the embedding and after both branches.
        attention_dropout: probability in [0, 1), on attention weights.
        activation_dropout: probability in [0, 1), between the maps of the feed-forward layer.
        normalize_before: norms at the entrance of the branches (pre-norm); the modern architecture always has them.
        cutoffs: adaptive softmax, such as "2000,10000"; empty means one softmax over all words.
        bands: channels of its rarer words, falling by 4 a band (fairseq) or equal, with biases (Transformer-XL).
        lr: Adam's largest learning rate.
        beta1: Adam's decay of the mean gradient, in [0, 1).
        beta2: Adam's decay of the mean squared gradient, in [0, 1).
        epsilon: what Adam adds to the root of the latter, > 0.
        warmup: steps of linear warm-up.
        schedule: what follows, a cosine, a cosine over all steps that the warm-up cuts into, or inverse square root.
        lr_end: share of `lr` that a cosine ends at, in [0, 1].
        weight_decay: decoupled, times the learning rate.
        clip: largest gradient norm; 0 means no clipping.
        validate_every: steps between validations; the best validation loss is tested.
        patience: validations without improvement before stopping; 0 means never.
        checkpointing: recompute layers in the backward pass instead of storing them.
    """

    datasets = {
        "pydoc": Dataset("Python's documentation topics, about 81,000 training tokens, 1,700 words", embedded=True),
        "wikitext-2": Dataset("WikiText-2, 2,088,628 training tokens, 33,280 words"),
        "wikitext-103": Dataset("WikiText-103, 103,227,021 training tokens, 267,744 words"),
    }
    metrics = (
        Metric("perplexity", "", "lower"),
        Metric("perplexity_sliding", "", "lower"),
        Metric("loss", "nat", "lower"),
    )
    selection = Metric("loss", "nat", "lower")
    label = ("depth", "context")
    engines = ("ddp", "zero1", "zero2", "zero3", "fairseq")
    steps = 120
    global_batch = 16
    evaluates_together = True

    def __init__(
        self,
        *,
        architecture: Literal["fairseq", "modern"] = "fairseq",
        depth: int = 4,
        width: int = 64,
        heads: int = 4,
        kv_heads: int = 0,
        ffn: int = 256,
        context: int = 64,
        context_window: int = 32,
        dropout: float = 0.1,
        attention_dropout: float = 0.0,
        activation_dropout: float = 0.0,
        normalize_before: bool = False,
        cutoffs: str = "",
        bands: Literal["falling", "equal"] = "falling",
        lr: float = 6e-3,
        beta1: float = 0.9,
        beta2: float = 0.98,
        epsilon: float = 1e-8,
        warmup: int = 20,
        schedule: Literal["cosine", "cosine_from_start", "inverse_sqrt"] = "cosine",
        lr_end: float = 0.0,
        weight_decay: float = 0.0,
        clip: float = 0.25,
        validate_every: int = 40,
        patience: int = 0,
        checkpointing: bool = False,
    ) -> None:
        _expect_positive(depth=depth, heads=heads, ffn=ffn, context=context, validate_every=validate_every, lr=lr)
        _expect_positive(epsilon=epsilon)
        _expect_not_negative(warmup=warmup, weight_decay=weight_decay, clip=clip, patience=patience, kv_heads=kv_heads)
        _expect_probability(dropout=dropout, attention_dropout=attention_dropout, activation_dropout=activation_dropout)
        _expect_probability(beta1=beta1, beta2=beta2)
        _expect_choice("schedule", schedule, ("cosine", "cosine_from_start", "inverse_sqrt"))
        _expect_choice("bands", bands, ("falling", "equal"))
        if width < 4 or width % 2 or width % heads:
            raise ValueError(f"width must be an even number >= 4 that heads = {heads} divides, got {width}.")
        if not 0 <= context_window < context:
            raise ValueError(
                f"context_window must be in [0, {context - 1}] for context {context}, got {context_window}."
            )
        if not 0 <= lr_end <= 1:
            raise ValueError(f"lr_end must be in [0, 1], got {lr_end}.")
        _expect_architecture(architecture, width // heads, heads, kv_heads, normalize_before)
        self.architecture, self.kv_heads = architecture, kv_heads or heads
        self.depth, self.width, self.heads, self.ffn = depth, width, heads, ffn
        self.context, self.context_window, self.normalize_before = context, context_window, normalize_before
        self.dropout, self.attention_dropout, self.activation_dropout = dropout, attention_dropout, activation_dropout
        self.cutoffs, self.bands = _cutoffs(cutoffs, width if bands == "falling" else None), bands
        self.lr, self.betas, self.epsilon, self.weight_decay = lr, (beta1, beta2), epsilon, weight_decay
        self.warmup, self.schedule, self.lr_end = warmup, schedule, lr_end
        self.clip, self.evaluate_every, self.patience = clip or None, validate_every, patience or None
        self.checkpointing = checkpointing

    def load(self, data: str, split: str, root: Path | None, seed: int) -> str:
        from jobs.hosts import text  # reads the embedded text on import; describing the task needs none of it

        self._corpus, digest = text.load(data, root)
        if self._corpus.tokens("train") < self.context:
            tokens = self._corpus.tokens("train")
            raise DataError(f"{data} has {tokens:,} training tokens, fewer than one block of context {self.context:,}.")
        if self.cutoffs and self.cutoffs[-1] >= len(self._corpus.words):
            raise DataError(
                f"{data} has {len(self._corpus.words):,} words; every cutoff must lie below, got {self.cutoffs}."
            )
        return digest

    @property
    def corpus(self) -> "Corpus":
        """The text that `load` has read."""
        return self._corpus

    def build(self, plug: Plug) -> nn.Module:
        return self.host(len(self._corpus.words), plug)

    def host(self, vocabulary: int, plug: Plug) -> nn.Module:
        """The model over a vocabulary of that many words."""
        from jobs.hosts import llama, lm

        modern = self.architecture == "modern"
        shape: type[Any] = llama.Shape if modern else lm.Shape
        make: Callable[[Any, Plug], nn.Module] = llama.model if modern else lm.LanguageModel
        names = [field.name for field in dataclasses.fields(shape) if field.name != "vocabulary"]
        model = make(shape(vocabulary=vocabulary, **{name: getattr(self, name) for name in names}), plug)
        model.decoder.layers.checkpointing = self.checkpointing  # type: ignore[union-attr]  # nn.Module is untyped
        return model

    def samples(self) -> int:
        return int(self._corpus.tokens("train")) // self.context

    def batch(self, draws: Sequence[Draw]) -> tuple[Tensor, Tensor]:
        blocks = [self._corpus.block("train", index, self.context) for _, index in draws]
        return torch.stack([source for source, _ in blocks]), torch.stack([target for _, target in blocks])

    def loss(self, model: nn.Module, batch: Any) -> Tensor:
        device = next(model.parameters()).device
        costs, penalty = model(*(part.to(device) for part in batch))
        loss: Tensor = costs.float().mean() + penalty
        return loss

    def optimizer(self, model: nn.Module) -> torch.optim.Optimizer:
        return torch.optim.AdamW(
            model.parameters(), lr=self.lr, betas=self.betas, eps=self.epsilon, weight_decay=self.weight_decay
        )

    def rate(self, step: int, steps: int) -> float:
        """Linear warm-up to 1, then the schedule; the first step is not wasted on a rate of 0."""
        if step < self.warmup:
            return (step + 1) / self.warmup
        if self.schedule == "inverse_sqrt":
            return math.sqrt(max(1, self.warmup) / max(1, step))
        start = self.warmup if self.schedule == "cosine" else 0
        fallen = (1 - math.cos(math.pi * (step - start) / max(1, steps - start))) / 2
        return 1 - (1 - self.lr_end) * fallen

    def evaluate(self, model: nn.Module, part: Literal["val", "test"], beat: Callable[[], None]) -> dict[str, float]:
        from jobs.metrics.perplexity import perplexity

        loss = self._cost(model, part, 0, beat)
        values = {"perplexity": perplexity(loss), "loss": loss}
        if part == "test":  # sliding windows cost several passes; selection does not need them
            values["perplexity_sliding"] = perplexity(self._cost(model, part, self.context_window, beat))
        return values

    def probe(self, model: nn.Module) -> None:
        tokens = min(self.context, self._corpus.tokens("val"))
        blocks = range(min(_PROBED, self._corpus.tokens("val") // tokens))
        source = torch.stack([self._corpus.block("val", index, tokens)[0] for index in blocks])
        model.decoder(source.to(next(model.parameters()).device))  # type: ignore[operator]  # nn.Module is untyped

    def blocks(self, model: nn.Module) -> Mapping[str, Sequence[nn.Module]]:
        return {"decoder": list(model.decoder.layers)}  # type: ignore[union-attr, arg-type]  # as above

    def _cost(self, model: nn.Module, part: str, overlap: int, beat: Callable[[], None]) -> float:
        """Mean cost per token of one part [nat]."""
        from jobs.metrics.perplexity import mean_cost

        device = next(model.parameters()).device

        def score(source: Tensor, target: Tensor) -> Tensor:
            costs: Tensor = model(source.long().to(device), target.long().to(device))[0]
            beat()
            return costs.cpu()

        batch = max(1, _EVALUATION_TOKENS // self.context)
        stream = self._corpus.streams[part]
        return mean_cost(score, stream, context=self.context, overlap=overlap, batch=batch, portion=self.portion)


def _cutoffs(text: str, width: int | None) -> tuple[int, ...]:
    """The numbers in `text`; `width` is what falls by 4 at each of them, None if nothing does."""
    parts = [part.strip() for part in text.split(",")] if text.strip() else []
    if not all(part.isdecimal() for part in parts):
        raise ValueError(f'cutoffs must be numbers of words separated by commas, such as "2000,10000", got {text!r}.')
    found = tuple(int(part) for part in parts)
    narrow = width is not None and found and width < 4 ** len(found)
    if list(found) != sorted(set(found)) or 0 in found or narrow:
        limit = f", at most one per factor 4 in width = {width}" if width else ""
        raise ValueError(f"cutoffs must be rising numbers of words > 0{limit}, got {text!r}.")
    return found


def _expect_positive(**values: float) -> None:
    for name, value in values.items():
        if value <= 0:
            raise ValueError(f"{name} must be > 0, got {value}.")


def _expect_not_negative(**values: float) -> None:
    for name, value in values.items():
        if value < 0:
            raise ValueError(f"{name} must be >= 0, got {value}.")


def _expect_probability(**values: float) -> None:
    for name, value in values.items():
        if not 0 <= value < 1:
            raise ValueError(f"{name} must be in [0, 1), got {value}.")


def _expect_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ValueError(f"{name} must be {', '.join(choices[:-1])} or {choices[-1]}, got {value!r}.")


def _expect_architecture(name: str, channels: int, heads: int, kv_heads: int, normalize_before: bool) -> None:
    _expect_choice("architecture", name, ("fairseq", "modern"))
    if name == "fairseq" and kv_heads not in (0, heads):
        raise ValueError(f"kv_heads must be 0 in the fairseq architecture, got {kv_heads}; modern can have fewer.")
    if name == "modern" and normalize_before:
        raise ValueError("normalize_before must be left false: the modern architecture always normalises before.")
    if name == "modern" and channels % 2:
        raise ValueError(f"width / heads must be even for rotary positions, got {channels}; change width or heads.")
    if kv_heads and heads % kv_heads:
        raise ValueError(f"kv_heads must divide heads = {heads}, got {kv_heads}.")
