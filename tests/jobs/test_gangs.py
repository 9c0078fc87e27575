"""Jobs of two processes: the curve of one whatever the engine; a killed rank, resumed; a change of their number."""

import os
import signal
import time
from pathlib import Path

import pytest
import torch

from jobs.contract import JobFolder, JobSpec, Result, read_events
from jobs.training import checkpoint
from tests.jobs import tiny

pytestmark = pytest.mark.heavy
ENGINES = [(task, engine) for task in ("classification", "language") for engine in ("zero1", "zero2", "zero3")]


def curve(folder: JobFolder, attempt: int = 1) -> list[float]:
    events = [event for _, event in read_events(folder.attempt(attempt).events)]
    return [event["values"]["train/loss"] for event in events if "train/loss" in event.get("values", {})]


def trained(folder: Path, job: JobSpec, *, processes: int) -> tuple[JobFolder, Result]:
    place = tiny.place(folder, job, processes=processes)
    code, log, result = tiny.finish(place, processes=processes)
    assert code == 0 and result is not None, log
    return place, result


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[JobFolder, Result]]:
    """Folder and result of one process with PyTorch's own optimizer, by task."""
    found = {}
    for task in ("classification", "language"):
        folder, result = trained(tmp_path_factory.mktemp(task), tiny.spec(task, "neutreno"), processes=1)
        found[task] = folder, result
    return found


@pytest.mark.parametrize(("task", "engine"), ENGINES)
def test_zero_on_two_processes_trains_as_one_process_does(
    task: str, engine: str, alone: dict[str, tuple[JobFolder, Result]], tmp_path: Path
) -> None:
    folder, result = trained(tmp_path, tiny.spec(task, "neutreno", engine=engine), processes=2)
    alone_folder, alone_result = alone[task]
    expected = curve(alone_folder)
    assert curve(folder) == pytest.approx(expected, rel=1e-5)
    for name, metric in alone_result.numbers["metrics"].items():
        assert result.numbers["metrics"][name]["value"] == pytest.approx(metric["value"], rel=1e-4)
    final, best = (checkpoint.load(folder.checkpoints / "final.pt"), result.numbers["best_step"])
    assert final is not None
    expected_weights = checkpoint.load(alone_folder.checkpoints / "final.pt")
    assert expected_weights is not None and best == alone_result.numbers["best_step"]
    for name, tensor in expected_weights["model"].items():
        torch.testing.assert_close(final["model"][name], tensor, rtol=1e-3, atol=1e-4)


def ranks(folder: JobFolder) -> list[int]:
    """Process ids of the job's ranks, by rank."""
    found = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            command = (entry / "cmdline").read_bytes().split(b"\0")
            environment = dict(line.partition(b"=")[::2] for line in (entry / "environ").read_bytes().split(b"\0"))
        except OSError:
            continue
        if b"jobs" in command and str(folder.root).encode() in command and b"LOCAL_RANK" in environment:
            found[int(environment[b"RANK"])] = int(entry.name)
    return [found[rank] for rank in sorted(found)]


def done(folder: JobFolder, attempt: int) -> int:
    events = [event for _, event in read_events(folder.attempt(attempt).events)]
    return max((event["step"] for event in events if event["kind"] == "checkpoint"), default=0)


@pytest.mark.parametrize(
    ("task", "engine", "rank"), [("graph", "ddp", 1), ("language", "ddp", 0), ("language", "zero2", 1)]
)
def test_a_killed_rank_ends_the_job_in_seconds_and_resuming_gives_the_same_numbers(
    task: str, engine: str, rank: int, tmp_path: Path
) -> None:
    job = tiny.spec(task, "neutreno", steps=40, engine=engine)
    _, expected = trained(tmp_path / "undisturbed", job, processes=2)
    folder = tiny.place(tmp_path / "disturbed", job, processes=2, checkpoint_s=0.0)
    process = tiny.start(folder, processes=2)
    tiny.wait_for(lambda: done(folder, 1) >= 3, process)
    killed = ranks(folder)[rank]
    began = time.monotonic()
    os.kill(killed, signal.SIGKILL)
    log, _ = process.communicate(timeout=60)
    assert process.returncode != 0 and time.monotonic() - began < 30
    assert not folder.attempt(1).output.exists(), "a lost peer must not be recorded as the job's own failure"
    assert f"exitcode  : {-signal.SIGKILL}" in log
    folder = tiny.place(tmp_path / "disturbed", job, processes=2)
    code, log, result = tiny.finish(folder, processes=2)
    assert code == 0 and result is not None, log
    assert result.numbers == expected.numbers


def test_a_job_resumes_on_another_number_of_processes_and_another_engines_checkpoint(
    alone: dict[str, tuple[JobFolder, Result]], tmp_path: Path
) -> None:
    """Without dropout the mathematics is the same, so only rounding may differ."""
    job = tiny.spec("language", "neutreno", engine="zero3")
    folder = tiny.place(tmp_path, job, processes=2, checkpoint_s=0.0)
    process = tiny.start(folder, processes=2)
    tiny.wait_for(lambda: done(folder, 1) >= 2, process)
    process.kill()
    process.communicate()
    for pid in ranks(folder):
        os.kill(pid, signal.SIGKILL)
    plain = tiny.spec("language", "neutreno")
    folder = tiny.place(tmp_path, plain)
    code, log, result = tiny.finish(folder)
    assert code == 0 and result is not None, log
    assert "Resumed on 1 processes instead of 2" in log
    expected = alone["language"][1]
    assert result.numbers["metrics"]["loss"]["value"] == pytest.approx(
        expected.numbers["metrics"]["loss"]["value"], rel=1e-5
    )


def test_a_full_batch_job_resumes_on_one_process_with_the_same_dropout(tmp_path: Path) -> None:
    """Every process draws the same on one graph, so that their number may change in the middle of a stream."""
    arguments = {**tiny.SETTINGS["graph"].arguments, "dropout": 0.5}
    job = tiny.spec("graph", "neutreno", steps=40, arguments=arguments)
    _, expected = trained(tmp_path / "one", job, processes=1)
    folder = tiny.place(tmp_path / "two", job, processes=2, checkpoint_s=0.0)
    process = tiny.start(folder, processes=2)
    tiny.wait_for(lambda: done(folder, 1) >= 3, process)
    for pid in ranks(folder):
        os.kill(pid, signal.SIGKILL)
    process.communicate(timeout=60)
    folder, result = trained(tmp_path / "two", job, processes=1)
    assert "resumed" in [event["kind"] for _, event in read_events(folder.attempt(2).events)]
    for name, metric in expected.numbers["metrics"].items():
        assert result.numbers["metrics"][name]["value"] == pytest.approx(metric["value"], rel=1e-5)
