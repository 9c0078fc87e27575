"""Jobs that fairseq trains, as their supervisor sees them: real child processes in fairseq's own environment."""

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
import torch

from jobs import registry
from jobs.contract import EXIT_PREEMPTED, JobFolder, JobSpec, Result, file_sha256, read_events
from jobs.training import checkpoint
from jobs.training.run import build, plug
from tests.jobs import tiny
from tests.jobs.fairseq import environment

pytestmark = [pytest.mark.heavy, environment.needed]

ARGUMENTS = {"depth": 3, "width": 16, "heads": 2, "ffn": 32, "context": 16, "context_window": 8, "dropout": 0.1}
ARGUMENTS |= {"validate_every": 8, "warmup": 4, "cutoffs": "200,800"}
EPOCH = 10
"""Steps in an epoch at the batch below; the last one is smaller."""


def spec(variant: str = "neutreno", **changes: Any) -> JobSpec:
    fields: dict[str, Any] = {"engine": "fairseq", "steps": 24, "global_batch": 512, "arguments": ARGUMENTS}
    return tiny.spec("language", variant, **fields | changes)


def place(folder: Path, job: JobSpec, **launch: Any) -> JobFolder:
    return tiny.place(folder, job, environment="fairseq", checkpoint_s=0.0, **launch)


def finish(folder: JobFolder, **options: Any) -> tuple[int, str, Result]:
    code, log, result = tiny.finish(folder, python=environment.PYTHON, **options)
    assert result is not None, log
    return code, log, result


def events(folder: JobFolder, attempt: int, kind: str) -> list[dict[str, Any]]:
    found = [event for _, event in read_events(folder.attempt(attempt).events)]
    return [event for event in found if event["kind"] == kind]


def steps(folder: JobFolder, attempt: int) -> list[int]:
    return [event["step"] for event in events(folder, attempt, "step") if event["phase"] == "train"]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[JobFolder, Result]:
    folder = place(tmp_path_factory.mktemp("undisturbed"), spec())
    code, log, result = finish(folder)
    assert code == 0, log
    return folder, result


def test_the_plain_decoder_finds_the_same_perplexities_on_the_same_checkpoint(
    undisturbed: tuple[JobFolder, Result],
) -> None:
    folder, result = undisturbed
    job = spec()
    task = registry.task("language")(**job.arguments)
    task.load(job.data, job.split, None, job.seed)
    model = build(task, plug(job, registry.variant(job.variant)), job.seed)
    document = checkpoint.load(folder.checkpoints / "final.pt")
    assert document is not None
    model.load_state_dict(document["model"])
    with torch.no_grad():
        values = task.evaluate(model.eval(), "test", lambda: None)
    assert set(values) == set(result.numbers["metrics"])
    for name, value in values.items():
        assert result.numbers["metrics"][name]["value"] == pytest.approx(value, rel=1e-4)
    assert values["perplexity"] < 900


def test_a_job_leaves_what_the_shared_loop_leaves(undisturbed: tuple[JobFolder, Result]) -> None:
    folder, result = undisturbed
    assert [event["phase"] for event in events(folder, 1, "phase")] == ["build", "train", "evaluate"]
    assert steps(folder, 1) == list(range(1, 25)) and result.numbers["steps_done"] == 24
    assert [point["step"] for point in result.numbers["curve"]] == [8, 16, 24]
    assert result.numbers["best_step"] == min(result.numbers["curve"], key=lambda point: point["loss"])["step"]
    losses = [event["values"].get("train/loss") for event in events(folder, 1, "metrics")]
    assert [loss for loss in losses if loss is not None][-1] < 7.0
    assert {(row["site"], row["layer"]) for row in result.numbers["profile"]} == {
        (site, layer) for site in ("block", "branch") for layer in range(3)
    }
    assert result.cost["parameters"] > 10_000 and result.cost["step_s"] > 0
    assert sorted(path.name for path in folder.checkpoints.glob("*.pt"))[-2:] == ["step-23.pt", "step-24.pt"]
    assert not (folder.root / "fairseq-data").exists()


def test_killed_in_the_second_epoch_it_resumes_to_the_same_numbers(
    undisturbed: tuple[JobFolder, Result], tmp_path: Path
) -> None:
    folder = place(tmp_path, spec())
    process = tiny.start(folder, python=environment.PYTHON)
    tiny.wait_for(lambda: len(steps(folder, 1)) >= EPOCH + 3, process)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert EPOCH < len(steps(folder, 1)) < 24
    place(tmp_path, spec())
    code, log, result = finish(folder)
    assert code == 0, log
    resumed = events(folder, 2, "resumed")[0]["step"]
    assert steps(folder, 2) == list(range(resumed + 1, 25))
    assert json.dumps(result.numbers) == json.dumps(undisturbed[1].numbers)


def test_killed_after_training_it_takes_no_further_step(undisturbed: tuple[JobFolder, Result]) -> None:
    folder, result = undisturbed
    place(folder.root, spec())
    code, log, again = finish(folder)
    assert code == 0, log
    assert steps(folder, 2) == []
    assert json.dumps(again.numbers) == json.dumps(result.numbers)


def test_two_processes_train_in_micro_batches_and_agree_on_the_numbers(tmp_path: Path) -> None:
    job = spec("softmax", steps=8, arguments=ARGUMENTS | {"dropout": 0.0, "cutoffs": ""})
    folder = place(tmp_path, job, processes=2, micro_batch=128)
    code, log, result = finish(folder, processes=2)
    assert code == 0, log
    assert steps(folder, 1) == list(range(1, 9))
    assert (result.cost["processes"], result.numbers["best_step"]) == (2, 8)


def test_sigterm_writes_a_checkpoint_and_exits_75(tmp_path: Path) -> None:
    folder = tiny.place(tmp_path, spec(steps=100_000), environment="fairseq", checkpoint_s=1e9)
    process = tiny.start(folder, python=environment.PYTHON)
    tiny.wait_for(lambda: len(steps(folder, 1)) >= 3, process)
    process.terminate()
    log, _ = process.communicate(timeout=120)
    assert process.returncode == EXIT_PREEMPTED, log
    saved = events(folder, 1, "checkpoint")
    assert [event["step"] for event in saved] == steps(folder, 1)[-1:]
    assert (folder.checkpoints / f"step-{saved[0]['step']}.pt").exists()


def test_a_variant_that_diverges_fails_with_its_class(tmp_path: Path) -> None:
    file = tmp_path / "inputs" / "idea.py"
    file.parent.mkdir()
    body = "from jobs.api import Variant\n\n\nclass Idea(Variant):\n    def mix(self, a, v):\n        return a(v) / 0\n"
    file.write_text(body)
    job = spec("idea", variant_sha256=file_sha256(file))
    code, log, result = finish(place(tmp_path, job, variant_file="inputs/idea.py"))
    assert (code, result.failure) == (1, "nan"), log
    assert result.reason == "The training loss or its gradient is NaN or infinite at step 1 of 24."
    assert not list((tmp_path / "checkpoints").glob("crash*"))


def test_the_plug_in_agrees_with_fairseq_and_the_commands_fail_loudly() -> None:
    code, log = environment.run("-m", "pytest", "tests/jobs/fairseq/inside", "-q", "-p", "no:cacheprovider")
    assert code == 0, log
