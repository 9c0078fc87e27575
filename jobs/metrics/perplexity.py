"""Perplexity of a running text, computed as fairseq's eval-lm computes it (sample-break-mode none).

    perplexity = exp(mean over all T tokens of -log p(token | what the window shows before it))

The text is one stream, `</s>` first and then every token; the model reads positions 0..T-1 and is asked for 1..T.
Windows hold at most `context` tokens and start `context - overlap` apart; each token is scored once, in the first
window that reaches it. overlap 0 is the segment-wise figure, overlap > 0 (fairseq's --context-window) the sliding
one: papers mix the two, so both are reported by name. Positions restart in every window.
"""

import itertools
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from jobs.errors import JobError
from jobs.portion import Portion

Score = Callable[[Tensor, Tensor], Tensor]
"""Source and target (B, N) in, the cost -log p of each target (B, N) [nat] out."""

Window = tuple[int, int, int]
"""(start, fresh, stop): positions start..stop-1 are shown, the targets of fresh..stop-1 are scored."""

_ALL = Portion()


def windows(tokens: int, context: int, overlap: int = 0) -> Iterator[Window]:
    """The windows over a stream of `tokens` targets.

    >>> list(windows(7, 4))
    [(0, 0, 4), (4, 4, 7)]
    >>> list(windows(7, 4, overlap=2))
    [(0, 0, 2), (0, 2, 4), (2, 4, 6), (4, 6, 7)]
    """
    if not 0 <= overlap < context:
        raise ValueError(f"overlap must be in [0, {context - 1}] for windows of {context} tokens, got {overlap}.")
    for fresh in range(0, tokens, context - overlap):
        yield max(0, fresh - overlap), fresh, min(tokens, fresh + context - overlap)


def mean_cost(
    score: Score,
    stream: Tensor,
    *,
    context: int,
    overlap: int = 0,
    batch: int = 1,
    portion: Portion = _ALL,
) -> float:
    """Mean cost per token [nat] of `stream` (T + 1,), summed in float64; `batch` windows are scored at once.

    Processes that share the work each score their `portion` of the batches; all of them get the mean.

    By hand: a model for which a token costs log(1 + its position in the window). Windows of 2 over 4 tokens cost
    log 1 + log 2 + log 1 + log 2, a perplexity of 4 ** (1 / 4); sliding by 1, log 1 + 3 log 2, so 8 ** (1 / 4).

    >>> by_place = lambda source, target: torch.arange(1, source.shape[1] + 1).log().expand(source.shape)
    >>> round(perplexity(mean_cost(by_place, torch.zeros(5), context=2)) ** 4, 4)
    4.0
    >>> round(perplexity(mean_cost(by_place, torch.zeros(5), context=2, overlap=1)) ** 4, 4)
    8.0

    Raises:
        JobError: the number of tokens scored, by all processes together, is not the number in the stream.
    """
    tokens, sums = len(stream) - 1, torch.zeros(2, dtype=torch.float64)
    for group in portion.of(list(_alike(windows(tokens, context, overlap), batch))):
        source = torch.stack([stream[start:stop] for start, _, stop in group])
        target = torch.stack([stream[start + 1 : stop + 1] for start, _, stop in group])
        start, fresh, _ = group[0]
        costs = score(source, target)[:, fresh - start :]
        sums += torch.tensor([costs.double().sum().item(), costs.numel()], dtype=torch.float64)
    total, scored = portion.total(sums).tolist()
    if scored != tokens or not tokens:
        raise JobError(f"Perplexity scored {scored:,.0f} tokens of {tokens:,}; every token must count exactly once.")
    return float(total / tokens)


def perplexity(cost: float) -> float:
    """exp(cost) for a mean cost per token [nat]; infinite rather than an error where that overflows.

    >>> perplexity(1000.0)
    inf
    """
    return torch.tensor(cost, dtype=torch.float64).exp().item()


def _alike(found: Iterator[Window], batch: int) -> Iterator[list[Window]]:
    """Neighbouring windows of the same shape, at most `batch` together."""
    for _, group in itertools.groupby(found, lambda window: (window[2] - window[0], window[1] - window[0])):
        while chunk := list(itertools.islice(group, batch)):
            yield chunk
