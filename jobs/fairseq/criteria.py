"""fairseq's language-modelling losses with the variants' penalty added in training, and the cost reported exactly.

The loss of a step is sum(cost of the tokens) / tokens + penalty, which is what the plain decoder trains on. With one
exception, kept because it is how published numbers came about: fairseq's adaptive loss tells padding by its number, 1,
in every band, and so leaves out what the second word of each rare band costs within its band. eval-lm counts it.
"""

from typing import Any

from fairseq import metrics
from fairseq.criterions import register_criterion
from fairseq.criterions.adaptive_loss import AdaptiveLoss, AdaptiveLossConfig
from fairseq.criterions.cross_entropy import CrossEntropyCriterion, CrossEntropyCriterionConfig
from torch import Tensor

COST = "cost"
"""The metric that both losses log beside fairseq's own rounded ones: mean cost per token [nat], not rounded."""


class _Recorder:
    """Stands for a model whose output is wanted again: fairseq's losses call the model themselves."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self.output: Any = None

    def __call__(self, **inputs: Any) -> Any:
        self.output = self._model(**inputs)
        return self.output

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)


class _Penalised:
    """Mixed in before one of fairseq's losses."""

    def forward(self, model: Any, sample: Any, reduce: bool = True) -> tuple[Tensor, int, dict[str, Any]]:
        recorder = _Recorder(model)
        loss, size, log = super().forward(recorder, sample, reduce)  # type: ignore[misc]  # the loss it is mixed into
        if model.training:
            loss = loss + recorder.output[1]["penalty"] * size
            log["loss"] = loss.data
        return loss, size, log

    @classmethod
    def reduce_metrics(cls, logging_outputs: list[dict[str, Any]]) -> None:
        super().reduce_metrics(logging_outputs)  # type: ignore[misc]  # as above
        total, size = (float(sum(log[name] for log in logging_outputs)) for name in ("loss", "sample_size"))
        metrics.log_scalar(COST, total / size, size, priority=1, round=None)


@register_criterion("penalised_cross_entropy", dataclass=CrossEntropyCriterionConfig)
class PenalisedCrossEntropy(_Penalised, CrossEntropyCriterion):
    """One softmax over all words."""


@register_criterion("penalised_adaptive_loss", dataclass=AdaptiveLossConfig)
class PenalisedAdaptiveLoss(_Penalised, AdaptiveLoss):
    """The adaptive softmax."""
