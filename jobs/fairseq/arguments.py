"""A language job as arguments of fairseq's commands; knows fairseq's options, and imports nothing of it.

The rates follow the task's schedule: after the warm-up they are equal, in it they differ by at most 1 / warmup.
"""

import inspect
import json
from pathlib import Path

from jobs.contract import JobFolder, JobSpec, Launch
from jobs.errors import JobError
from jobs.tasks.language import Language

Arguments = list[str]

_SCORED_TOKENS = 4096
"""Tokens in one forward pass of the evaluation, as in the plain back-end."""
_SOFTMAX_TOKENS = 1024
"""Tokens whose probabilities over all words the evaluation holds at once."""
_LOG_EVERY = 100
_UNDERSTOOD = frozenset(
    [
        "depth",
        "width",
        "heads",
        "ffn",
        "context",
        "context_window",
        "dropout",
        "attention_dropout",
        "activation_dropout",
        "normalize_before",
        "cutoffs",
        "lr",
        "beta1",
        "beta2",
        "epsilon",
        "warmup",
        "schedule",
        "lr_end",
        "weight_decay",
        "clip",
        "validate_every",
        "patience",
        "checkpointing",
    ]
)
"""The task's arguments that reach fairseq; another one may not differ from its default."""


def refuse(spec: JobSpec, task: Language) -> None:
    """Raise JobError for what a spec may say and fairseq's trainer cannot do."""
    asked = {
        "compile: true": spec.compile,
        "an average of the weights": task.average is not None,
        "repeats": task.repeats != 1,
    }
    defaults = {name: parameter.default for name, parameter in inspect.signature(type(task)).parameters.items()}
    for name, default in defaults.items():
        value = spec.arguments.get(name, default)
        asked[f"{name}: {value}"] = value != default and name not in _UNDERSTOOD
    asked[f"schedule: {task.schedule}"] = task.schedule not in ("cosine", "inverse_sqrt")
    for what, wanted in asked.items():
        if wanted:
            raise JobError(f"engine: fairseq cannot train with {what}; leave that out or use engine: ddp.")


def split(global_batch: int, processes: int, micro_batch: int | None) -> tuple[int, int]:
    """(blocks in a forward pass, passes in a step) of each process, so that the global batch is kept.

    >>> split(96, 2, 20)
    (16, 3)
    """
    if global_batch % processes:
        fitting = ", ".join(str(n) for n in range(1, 9) if global_batch % n == 0)
        raise JobError(f"global_batch {global_batch} is not divisible by {processes} processes; use {fitting} of them.")
    share = global_batch // processes
    blocks = max(size for size in range(1, min(micro_batch or share, share) + 1) if share % size == 0)
    return blocks, share // blocks


def training(spec: JobSpec, launch: Launch, task: Language, *, data: Path, folder: JobFolder) -> Arguments:
    """fairseq-train's arguments for the job in `folder`, its corpus at `data`."""
    variant_file = folder.root / launch.variant_file if launch.variant_file else None
    blocks, passes = split(spec.global_batch, launch.nodes * launch.processes, launch.micro_batch)
    return [
        *(str(data), "--task", "language_modeling", *_blocks(task)),
        *_model(spec, task, variant_file),
        *("--criterion", "penalised_adaptive_loss" if task.cutoffs else "penalised_cross_entropy"),
        *("--optimizer", "adam", "--adam-betas", str(task.betas)),
        *("--adam-eps", str(task.epsilon)),
        *("--weight-decay", str(task.weight_decay), "--clip-norm", str(task.clip or 0.0)),
        *_schedule(task, spec.steps),
        *("--batch-size", str(blocks), "--update-freq", str(passes), "--required-batch-size-multiple", "1"),
        *("--max-update", str(spec.steps), "--seed", str(spec.seed), "--num-workers", "0"),
        *("--best-checkpoint-metric", "cost", "--save-dir", str(folder.checkpoints)),
        *("--distributed-world-size", str(launch.nodes * launch.processes), "--ddp-backend", "legacy_ddp"),
        "--load-checkpoint-on-all-dp-ranks",  # what fairseq would broadcast, torch.load refuses
        *(("--bf16",) if spec.precision == "bfloat16" else ()),  # weights too, beside Adam's in float32
        *_logging(),
    ]


def scoring(task: Language, *, data: Path, weights: Path, part: str, overlap: int) -> Arguments:
    """fairseq-eval-lm's arguments: perplexity of `part` with `overlap` tokens of context shared by windows."""
    return [
        *(str(data), "--task", "language_modeling", "--path", str(weights), "--gen-subset", part),
        *(*_blocks(task), "--context-window", str(overlap)),
        *(
            "--batch-size",
            str(max(1, _SCORED_TOKENS // task.context)),
            "--max-tokens",
            str(max(_SCORED_TOKENS, task.context)),
        ),
        *("--softmax-batch", str(_SOFTMAX_TOKENS), "--required-batch-size-multiple", "1"),
        *("--num-workers", "0"),  # windows take their context from the one read before, in this process
        *("--distributed-world-size", "1"),  # fairseq's default, the number of GPUs, would score one part of as many
        *_logging(),
    ]


def _blocks(task: Language) -> Arguments:
    return ["--sample-break-mode", "none", "--tokens-per-sample", str(task.context)]


def _model(spec: JobSpec, task: Language, variant_file: Path | None) -> Arguments:
    width = str(task.width)
    sizes = {"embed-dim": width, "input-dim": width, "output-dim": width, "ffn-embed-dim": str(task.ffn)}
    counts = {"layers": str(task.depth), "attention-heads": str(task.heads)}
    return [
        *(
            "--arch",
            "unsmooth_lm",
            "--variant",
            spec.variant,
            "--variant-arguments",
            json.dumps(spec.variant_arguments),
        ),
        *(("--variant-file", str(variant_file)) if variant_file else ()),
        *(word for name, value in (sizes | counts).items() for word in (f"--decoder-{name}", value)),
        *("--dropout", str(task.dropout), "--attention-dropout", str(task.attention_dropout)),
        *("--activation-dropout", str(task.activation_dropout)),
        *(("--decoder-normalize-before",) if task.normalize_before else ()),
        *(("--checkpoint-activations",) if task.checkpointing else ()),
        *(_adaptive(task.cutoffs) if task.cutoffs else ("--share-decoder-input-output-embed",)),
    ]


def _adaptive(cutoffs: tuple[int, ...]) -> Arguments:
    bands = ",".join(map(str, cutoffs))
    return [
        *("--adaptive-input", "--adaptive-input-factor", "4", "--adaptive-input-cutoff", bands),
        *("--adaptive-softmax-factor", "4", "--adaptive-softmax-cutoff", bands),
        *("--tie-adaptive-weights", "--tie-adaptive-proj"),
    ]


def _schedule(task: Language, steps: int) -> Arguments:
    first = task.lr / max(1, task.warmup)
    if task.schedule == "inverse_sqrt":  # fairseq's takes no warm-up of 0: it would train at a rate of 0
        own = ["--warmup-updates", str(max(1, task.warmup))]
    else:
        own = ["--warmup-updates", str(task.warmup), "--lr-period-updates", str(max(1, steps - task.warmup))]
        own += ["--min-lr", str(task.lr * task.lr_end)]
    return ["--lr", str(task.lr), "--lr-scheduler", task.schedule, "--warmup-init-lr", str(first), *own]


def _logging() -> Arguments:
    return ["--no-progress-bar", "--log-format", "simple", "--log-interval", str(_LOG_EVERY)]
