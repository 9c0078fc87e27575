"""Small fairseq models as a job builds them, and untouched ones beside them."""

from jobs.fairseq import compat  # isort: skip  # noqa: F401  # before anything of fairseq

import copy
import functools
from pathlib import Path
from typing import Any

from fairseq import options, utils
from fairseq.data import Dictionary
from fairseq.tasks.language_modeling import LanguageModelingTask
from torch import Tensor

from jobs.contract import JobFolder, Launch
from jobs.fairseq import arguments, criteria, model  # noqa: F401  # registers the losses and the model
from jobs.fairseq.command import configuration
from jobs.hosts.text import SPECIAL
from jobs.tasks.language import Language
from tests.jobs import formula, tiny

WORDS, TOKENS = 96, 20


def language(**changes: Any) -> Language:
    sizes = {"depth": 3, "width": 32, "heads": 4, "ffn": 48, "context": TOKENS, "context_window": 4, "dropout": 0.0}
    return Language(**sizes | changes)


def trained_with(task: Language, variant: str = "softmax", *, untouched: bool = False, **changes: Any) -> Any:
    """fairseq's configuration of a training job; `untouched` names fairseq's own model and loss, and no variant."""
    spec = tiny.spec("language", engine="fairseq", **changes)
    data, folder = Path("data"), JobFolder(Path("job"))
    found = arguments.training(spec, Launch(attempt=1), task, data=data, folder=folder)
    if untouched:
        at = found.index("--arch")
        found[at : at + 6] = ["--arch", "transformer_lm"]
        found = [word.removeprefix("penalised_") for word in found]
    cfg = copy.deepcopy(_parsed(tuple(found)))
    if not untouched:
        cfg.model.variant = variant
    return cfg


@functools.cache  # Hydra takes a second
def _parsed(found: tuple[str, ...]) -> Any:
    return configuration(options.get_training_parser(), list(found))


def framework(cfg: Any, words: int = WORDS) -> LanguageModelingTask:
    """fairseq's task on a vocabulary of made-up words."""
    dictionary = Dictionary()
    for number in range(len(SPECIAL), words):
        dictionary.add_symbol(f"w{number}", n=words - number)
    return LanguageModelingTask(cfg.task, dictionary)


def built(task: Language, variant: str = "softmax", **options: Any) -> Any:
    """The model as fairseq-train builds it for seed 0."""
    return with_loss(task, variant, **options)[0]


def with_loss(task: Language, variant: str = "softmax", **options: Any) -> tuple[Any, Any]:
    """The model and its loss."""
    cfg = trained_with(task, variant, **options)
    utils.set_torch_seed(cfg.common.seed)
    theirs = framework(cfg)
    return theirs.build_model(cfg.model), theirs.build_criterion(cfg.criterion)


def sample() -> dict[str, Any]:
    """The batch as fairseq's losses take it."""
    source, target = batch()
    return {"net_input": {"src_tokens": source}, "target": target, "ntokens": target.numel()}


def batch() -> tuple[Tensor, Tensor]:
    stream = formula.words(2 * TOKENS + 1, WORDS)
    return stream[:-1].view(2, TOKENS), stream[1:].view(2, TOKENS)


def logs(found: Any, source: Tensor) -> Tensor:
    """Log probabilities (B, N, words)."""
    return found.get_normalized_probs(found(source), log_probs=True)
