"""A job as its supervisor sees it: real child processes, killed, stopped, broken."""

import json
import os
import signal
from pathlib import Path

import pytest
import torch

from jobs.contract import EXIT_PREEMPTED, JobFolder, file_sha256, read_events, read_json
from jobs.provenance import draws
from tests.jobs import tiny

TASKS = sorted(tiny.SETTINGS)

HEADER = "import torch\nfrom jobs.api import Variant\n\n\nclass Idea(Variant):\n    keeps = ('v0',)\n\n"


def kinds(folder: JobFolder, attempt: int) -> list[str]:
    return [event["kind"] for _, event in read_events(folder.attempt(attempt).events)]


def steps(folder: JobFolder, attempt: int) -> list[int]:
    events = [event for _, event in read_events(folder.attempt(attempt).events)]
    return [event["step"] for event in events if event["kind"] == "step" and event["phase"] == "train"]


def losses(folder: JobFolder) -> list[float]:
    values = [event.get("values", {}) for _, event in read_events(folder.attempt(1).events)]
    return [value["train/loss"] for value in values if "train/loss" in value]


def outside(folder: Path, body: str) -> JobFolder:
    """A job of the tiny graph setting whose variant is a file with `body` in its class."""
    file = folder / "inputs" / "idea.py"
    file.parent.mkdir(parents=True)
    file.write_text(HEADER + body)
    job = tiny.spec("graph", "idea", variant_sha256=file_sha256(file))
    return tiny.place(folder, job, variant_file="inputs/idea.py")


@pytest.mark.slow
@pytest.mark.parametrize("task", TASKS)
def test_a_job_killed_in_training_resumes_to_the_same_numbers(task: str, tmp_path: Path) -> None:
    job = tiny.spec(task, "neutreno", steps=12)
    undisturbed = tiny.place(tmp_path / "undisturbed", job, checkpoint_s=0.0)
    code, log, expected = tiny.finish(undisturbed)
    assert code == 0 and expected is not None, log

    folder = tiny.place(tmp_path / "killed", job, checkpoint_s=0.0)
    process = tiny.start(folder)
    tiny.wait_for(lambda: len(steps(folder, 1)) >= 4, process)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert len(steps(folder, 1)) < 12

    tiny.place(folder.root, job, checkpoint_s=0.0)
    code, log, result = tiny.finish(folder)
    assert code == 0 and result is not None, log
    assert "resumed" in kinds(folder, 2)
    assert len(steps(folder, 2)) < 12
    assert json.dumps(result.numbers) == json.dumps(expected.numbers)


@pytest.mark.parametrize(("task", "workers"), [("graph", 0), ("language", 2)])
def test_sigterm_to_the_whole_group_writes_a_checkpoint_and_exits_75(task: str, workers: int, tmp_path: Path) -> None:
    job = tiny.spec(task, "neutreno", steps=100_000)
    folder = tiny.place(tmp_path, job, checkpoint_s=1e9, workers=workers)
    process = tiny.start(folder)
    tiny.wait_for(lambda: len(steps(folder, 1)) >= 4, process)
    os.killpg(process.pid, signal.SIGTERM)
    log, _ = process.communicate(timeout=60)
    assert process.returncode == EXIT_PREEMPTED, log
    assert kinds(folder, 1)[-2:] == ["checkpoint", "preempted"]
    saved = steps(folder, 1)[-1]
    assert (folder.checkpoints / f"step-{saved}.pt").exists()
    assert not folder.attempt(1).output.exists()


def test_a_damaged_checkpoint_is_named_and_the_earlier_one_used(tmp_path: Path) -> None:
    job = tiny.spec("graph", "neutreno")
    folder = tiny.place(tmp_path, job, checkpoint_s=0.0)
    _, _, expected = tiny.finish(folder)
    (folder.checkpoints / "step-6.pt").write_bytes(b"damage")
    tiny.place(tmp_path, job, checkpoint_s=0.0)
    code, log, result = tiny.finish(folder)
    assert code == 0 and result is not None and expected is not None
    assert "Checkpoint step-6.pt is damaged" in log
    assert steps(folder, 2) == [6]
    assert result.numbers == expected.numbers


@pytest.mark.heavy
def test_micro_batches_do_not_change_what_is_learned(tmp_path: Path) -> None:
    """Only tasks whose samples are independent and equally long can be split; the others have full batches."""
    for task in TASKS:
        if tiny.SETTINGS[task].batch == 1:
            continue
        job = tiny.spec(task, steps=3)
        whole = tiny.place(tmp_path / task / "whole", job)
        split = tiny.place(tmp_path / task / "split", job, micro_batch=1)
        for folder in (whole, split):
            code, log, _ = tiny.finish(folder)
            assert code == 0, log
        assert len(losses(whole)) == 3
        assert losses(split) == pytest.approx(losses(whole), rel=1e-4)


def test_provenance_names_the_files_that_were_imported(tmp_path: Path) -> None:
    folder = tiny.place(tmp_path, tiny.spec("graph", "neutreno"), git={"sha": "abc", "dirty": True})
    tiny.finish(folder)
    found = read_json(folder.attempt(1).provenance)
    assert found["git"] == {"sha": "abc", "dirty": True}
    for path in ("jobs/variants/neutreno.py", "jobs/hosts/gcn.py", "jobs/training/loop.py", "jobs/__main__.py"):
        assert found["code"][path] == file_sha256(tiny.ROOT / path)
    assert "jobs/variants/centered.py" not in found["code"]
    assert len(found["data"]["digest"]) == 64
    assert torch.backends.cpu.get_cpu_capability() in found["hardware"]["processor"]
    assert found["hardware"]["draws"] == draws()


def test_a_digest_of_draws_tells_streams_apart_and_leaves_the_global_one_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before, here = torch.get_rng_state(), draws()
    assert draws() == here and len(set(here.values())) == len(here)
    assert torch.equal(torch.get_rng_state(), before)
    monkeypatch.setattr(torch, "randperm", lambda n, generator: torch.arange(n))  # another processor's
    assert {kind for kind, digest in draws().items() if digest != here[kind]} == {"order"}


@pytest.mark.parametrize(
    ("body", "failure", "reason"),
    [
        ("    def mix(self, a, v)\n        return a(v)\n", "variant_error", r"idea.py, line 8: expected ':'."),
        ("    def mix(self, a, v):\n        return a(v)[:, 1:]\n", "variant_error", "Idea.mix returned"),
        (
            "    def mix(self, a, v):\n        return a.weights @ v\n",
            "variant_error",
            "idea.py, line 9: AttributeError",
        ),
        ("    def mix(self, a, v):\n        return a(v) * torch.nan\n", "nan", "The training loss is nan at step 1"),
        ("    def mix(self, a, v):\n        return None\n", "variant_error", "Idea.mix returned NoneType"),
    ],
    ids=["syntax", "shape", "attribute", "nan", "none"],
)
def test_a_broken_variant_fails_with_its_class_and_one_sentence(
    body: str, failure: str, reason: str, tmp_path: Path
) -> None:
    code, _, result = tiny.finish(outside(tmp_path, body))
    assert code == 1 and result is not None
    assert (result.status, result.failure) == ("failed", failure)
    assert result.reason is not None and reason in result.reason
    assert result.advice


def test_a_variant_that_declines_is_skipped_with_its_reason(tmp_path: Path) -> None:
    body = "    @classmethod\n    def skip(cls, layer):\n        return 'Needs an even number of heads.'\n"
    code, _, result = tiny.finish(outside(tmp_path, body))
    assert code == 0 and result is not None
    assert (result.status, result.failure, result.reason) == ("skipped", None, "Needs an even number of heads.")


def test_missing_data_are_named_with_what_to_do(tmp_path: Path) -> None:
    job = tiny.spec("graph", data="cora", split="public")
    code, _, result = tiny.finish(tiny.place(tmp_path, job, data_root=str(tmp_path / "nowhere")))
    assert code == 1 and result is not None and result.failure == "data"
    assert result.reason is not None and "ind.cora.x" in result.reason and "--data" in result.reason


def test_a_folder_without_a_spec_is_a_usage_error(tmp_path: Path) -> None:
    code, log = _run(tmp_path)
    assert code == 2
    assert "is no job folder: it holds no spec.json" in log


def _run(folder: Path) -> tuple[int, str]:
    process = tiny.start(JobFolder(folder))
    log, _ = process.communicate(timeout=60)
    return process.returncode, log
