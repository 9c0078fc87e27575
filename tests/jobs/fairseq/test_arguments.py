"""The mapping of a language job onto fairseq's options; needs no fairseq."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from jobs.__main__ import trainer
from jobs.contract import JobFolder, Launch
from jobs.errors import JobError
from jobs.fairseq import arguments
from jobs.tasks.language import Language
from tests.jobs import tiny

FOLDER = JobFolder(Path("job"))


def training(task: Language, *, micro_batch: int | None = None, processes: int = 1, **changes: Any) -> list[str]:
    spec = tiny.spec("language", engine="fairseq", **changes)
    launch = Launch(attempt=1, processes=processes, micro_batch=micro_batch)
    return arguments.training(spec, launch, task, data=Path("data"), folder=FOLDER)


def value(found: list[str], option: str) -> str:
    assert found.count(option) == 1
    return found[found.index(option) + 1]


@pytest.mark.parametrize(
    ("global_batch", "processes", "micro_batch", "expected"),
    [(96, 1, None, (96, 1)), (96, 2, None, (48, 1)), (96, 2, 20, (16, 3)), (7, 1, 2, (1, 7)), (4, 2, 9, (2, 1))],
)
def test_micro_batches_keep_the_global_batch(
    global_batch: int, processes: int, micro_batch: int | None, expected: tuple[int, int]
) -> None:
    blocks, passes = arguments.split(global_batch, processes, micro_batch)
    assert (blocks, passes) == expected
    assert blocks * passes * processes == global_batch


def test_a_global_batch_that_cannot_be_dealt_out_is_refused() -> None:
    with pytest.raises(JobError, match="global_batch 9 is not divisible by 2 processes; use 1, 3 of them"):
        arguments.split(9, 2, None)


def test_every_size_is_said_so_that_none_of_fairseqs_defaults_stays() -> None:
    """Left out, --decoder-input-dim and --decoder-output-dim are 512 and a projection appears."""
    found = training(Language(depth=3, width=32, heads=4, ffn=48, context=24, context_window=0))
    sizes = ("embed-dim", "input-dim", "output-dim", "ffn-embed-dim", "layers", "attention-heads")
    assert [value(found, f"--decoder-{name}") for name in sizes] == ["32", "32", "32", "48", "3", "4"]
    assert value(found, "--tokens-per-sample") == "24"


def test_cutoffs_become_a_tied_adaptive_softmax() -> None:
    found = training(Language(cutoffs="200,800"))
    assert value(found, "--adaptive-softmax-cutoff") == value(found, "--adaptive-input-cutoff") == "200,800"
    assert {"--tie-adaptive-weights", "--tie-adaptive-proj"} <= set(found)
    assert value(found, "--criterion") == "penalised_adaptive_loss"
    assert "--share-decoder-input-output-embed" not in found


def test_no_warm_up_is_not_fairseqs_rate_of_zero() -> None:
    found = training(Language(warmup=0, schedule="inverse_sqrt", lr=0.1))
    assert (value(found, "--warmup-updates"), value(found, "--warmup-init-lr")) == ("1", "0.1")


def test_no_clipping_and_half_precision_reach_fairseq() -> None:
    found = training(Language(clip=0.0), precision="bfloat16")
    assert value(found, "--clip-norm") == "0.0"
    assert "--bf16" in found


def test_an_evaluation_is_not_dealt_out_over_the_gpus_that_happen_to_be_there() -> None:
    found = arguments.scoring(Language(), data=Path("data"), weights=Path("best.pt"), part="test", overlap=32)
    assert value(found, "--distributed-world-size") == "1"
    assert value(found, "--context-window") == "32"


class Later(Language):
    """The task with arguments that came later."""

    def __init__(self, *, rope: bool = False, average: float | None = None, **known: Any) -> None:
        super().__init__(**known)
        self.average = average


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"compile": True}, "engine: fairseq cannot train with compile: true"),
        ({"arguments": {"rope": True}}, "engine: fairseq cannot train with rope: True"),
        ({"arguments": {"architecture": "modern"}}, "engine: fairseq cannot train with architecture: modern"),
        ({"arguments": {"schedule": "cosine_from_start"}}, "cannot train with schedule: cosine_from_start"),
        ({"arguments": {"average": 0.999}}, "engine: fairseq cannot train with an average of the weights"),
    ],
)
def test_what_fairseq_cannot_do_is_refused_in_a_sentence(changes: dict[str, Any], problem: str) -> None:
    job = tiny.spec("language", engine="fairseq", **{"arguments": {}} | changes)
    cls = Later if job.arguments.keys() & {"rope", "average"} else Language
    with pytest.raises(JobError, match=problem):
        arguments.refuse(job, cls(**job.arguments))


def test_the_tasks_own_arguments_are_accepted() -> None:
    known = {"depth": 2, "cutoffs": "200,800", "schedule": "inverse_sqrt", "checkpointing": True}
    job = tiny.spec("language", engine="fairseq", arguments=known)
    arguments.refuse(job, Language(**job.arguments))


def test_a_job_in_an_environment_without_fairseq_says_how_to_get_one() -> None:
    run: Any = SimpleNamespace(spec=tiny.spec("language", engine="fairseq"))
    with pytest.raises(JobError, match=r"engine: fairseq needs fairseq's own environment.*run `make fairseq`"):
        trainer(run)
