"""Perplexity by fairseq's own eval-lm, with every token counted.

eval-lm leaves out blocks longer than the model's context and tokens of infinite cost, says nothing and exits 0: with
nothing left its perplexity is 1.00. Here that is an error. It also adds up in float32; the sum here is in float64.
"""

from collections.abc import Callable
from typing import Any

import torch
from fairseq import options
from fairseq.sequence_scorer import SequenceScorer
from fairseq_cli import eval_lm

from jobs.errors import JobError, NotFinite
from jobs.fairseq.command import configuration, replaced


class CountingScorer(SequenceScorer):
    """Counts what it scores and adds it up; `beat` is called after each batch."""

    def __init__(self, *arguments: Any, beat: Callable[[], None], **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.beat = beat
        self.scored, self.total = 0, 0.0

    def generate(self, models: list[Any], sample: dict[str, Any], **options: Any) -> list[Any]:
        found: list[Any] = super().generate(models, sample, **options)
        costs = torch.cat([hypothesis[0]["positional_scores"] for hypothesis in found])
        if not costs.isfinite().all():
            raise NotFinite("A token's cost is infinite or NaN in the evaluation.")
        self.scored += costs.numel()
        self.total -= costs.double().sum().item()
        self.beat()
        return found


def mean_cost(arguments: list[str], *, tokens: int, beat: Callable[[], None] = lambda: None) -> float:
    """Mean cost per token [nat] as eval-lm finds it with `arguments`; `tokens` is how many it has to score.

    Raises:
        JobError: it scored another number of tokens, such as none.
        NotFinite: a token's cost is not finite.
    """
    used: list[CountingScorer] = []

    def scorer(*given: Any, **options: Any) -> CountingScorer:
        used.append(CountingScorer(*given, beat=beat, **options))
        return used[-1]

    with replaced(eval_lm, SequenceScorer=scorer):
        eval_lm.main(configuration(options.get_eval_lm_parser(), arguments))
    (found,) = used
    if found.scored != tokens or not tokens:
        raise JobError(
            f"fairseq's eval-lm scored {found.scored:,} tokens of {tokens:,}; every token must count exactly once. "
            "It leaves out blocks longer than the model's context: score with the context of the training."
        )
    return found.total / tokens
