"""A training step of the plain decoder over fairseq's own: `.venv-fairseq/bin/python -m tests.benchmarks.language`.

The same sizes, batch, dropout 0.1, gradient clipping and Adam; fairseq's is `Trainer.train_step` on its untouched
`transformer_lm`, and beside it the same with our seam and the softmax variant in it. Runs in fairseq's environment.
Goal: at most 1.0 (fairseq's time over ours at least 1.0).
"""

from tests.jobs.fairseq.inside.built import framework, trained_with  # isort: skip  # the shim first

from collections.abc import Callable
from typing import Any

import torch
from fairseq.trainer import Trainer
from torch import Tensor, nn

from jobs import registry
from jobs.hosts.lm import LanguageModel, Shape
from jobs.tasks.language import Language
from tests.benchmarks.measure import ratio, table, turns

ROUNDS = 9
BLOCKS, WORDS = 4, 10_000
SHAPES: dict[str, dict[str, Any]] = {
    "WikiText-103 recipe, adaptive": {"depth": 16, "width": 128, "heads": 8, "ffn": 2048, "cutoffs": "2000,5000"},
    "6 layers, one softmax": {"depth": 6, "width": 256, "heads": 4, "ffn": 1024},
}
CONTEXT = 256
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
Step = Callable[[], None]


def batch() -> tuple[Tensor, Tensor]:
    words = torch.randint(4, WORDS, (BLOCKS, CONTEXT + 1), generator=torch.Generator().manual_seed(0))
    return words[:, :-1].contiguous(), words[:, 1:].contiguous()


def plain(task: Language) -> Step:
    """What the shared loop does in a step."""
    sizes = ("depth", "width", "heads", "ffn", "cutoffs", "dropout", "attention_dropout", "normalize_before")
    shape = Shape(vocabulary=WORDS, context=CONTEXT, **{name: getattr(task, name) for name in sizes})
    model = LanguageModel(shape, registry.plug(registry.variant("softmax"), "softmax", {}, 0)).to(DEVICE).train()
    optimizer, given = task.optimizer(model), batch()

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        loss = task.loss(model, given)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), task.clip or 0.0)
        optimizer.step()
        loss.item()

    return step


def fairseq(task: Language, *, untouched: bool) -> Step:
    """fairseq's own step."""
    cfg = trained_with(task, untouched=untouched, steps=1000)
    theirs = framework(cfg, WORDS)
    trainer = Trainer(cfg, theirs, theirs.build_model(cfg.model), theirs.build_criterion(cfg.criterion))
    trainer.begin_epoch(1)
    source, target = batch()
    lengths = torch.full((BLOCKS,), CONTEXT)
    inputs = {"src_tokens": source, "src_lengths": lengths}
    sample = {"id": lengths, "net_input": inputs, "target": target, "ntokens": target.numel(), "nsentences": BLOCKS}
    return lambda: trainer.train_step([sample])


def main() -> None:
    rows = []
    for name, sizes in SHAPES.items():
        task = Language(context=CONTEXT, context_window=0, dropout=0.1, **sizes)
        steps = {
            "plain": plain(task),
            "fairseq": fairseq(task, untouched=True),
            "seam": fairseq(task, untouched=False),
        }
        seconds = turns(steps, rounds=ROUNDS)
        over = [f"{ratio(seconds, 'fairseq', other):.2f}" for other in ("plain", "seam")]
        rows.append((name, f"{min(seconds['plain']) * 1000:.0f}", *over))
    header = ("model", "plain step, best, ms", "fairseq / plain time", "fairseq / fairseq with our seam, time")
    print(table(f"Language model, {BLOCKS} blocks of {CONTEXT} tokens, {WORDS:,} words, float32", header, rows))


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
