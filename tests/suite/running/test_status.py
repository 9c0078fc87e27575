"""What the files of a runs folder say about its jobs."""

import json
from pathlib import Path

import pytest

from jobs.contract import JobFolder, Result
from suite.errors import UsageError
from suite.planning import manifest
from suite.planning.manifest import Manifest, PlannedJob
from suite.planning.plan import Job
from suite.running import lock, status
from suite.running.supervise import supervise
from tests.suite.fake_runtime import job, order


def planned(runs: Path, *jobs: Job, name: str = "nano") -> None:
    entries = tuple(PlannedJob(id=found.id, entry="fake", label="fake", spec=found.spec) for found in jobs)
    manifest.save(Manifest(name=name, tier="development", created="2026", jobs=entries, tasks={}), runs)


def begun(runs: Path, wanted: Job) -> JobFolder:
    """A job in the middle of its training, as its files tell."""
    folder = JobFolder(runs / wanted.id)
    folder.attempt(1).root.mkdir(parents=True)
    wanted.spec.save(folder.spec)
    events = [{"kind": "phase", "phase": "train"}, {"kind": "step", "step": 7, "steps": 9, "loss": 0.25}]
    folder.attempt(1).events.write_text("".join(json.dumps({"time": 1.0, **event}) + "\n" for event in events))
    return folder


def test_finished_jobs_show_their_metric_and_failed_ones_their_class(tmp_path: Path) -> None:
    jobs = [job("ok"), job("nan"), job("skipped")]
    planned(tmp_path, *jobs)
    for found in jobs:
        supervise(JobFolder(tmp_path / found.id), order(found.spec))
    states = status.read(tmp_path)
    assert [state.state for state in states] == ["ok", "failed", "skipped"]
    assert [state.metric for state in states] == ["accuracy 50 %", None, None]
    assert states[1].failure == "nan"
    assert states[0].name == "fake/none/softmax/seed 0"


def test_a_job_without_attempts_waits(tmp_path: Path) -> None:
    planned(tmp_path, job("ok"))
    assert [state.state for state in status.read(tmp_path)] == ["waiting"]


def test_a_job_that_has_begun_runs_only_while_a_driver_works_in_the_folder(tmp_path: Path) -> None:
    wanted = job("ok")
    planned(tmp_path, wanted)
    begun(tmp_path, wanted)
    with lock.hold(tmp_path):
        running = status.read(tmp_path)[0]
    assert (running.state, running.phase, running.step, running.steps) == ("running", "train", 7, 9)
    assert running.metric == "loss 0.25"
    assert status.read(tmp_path)[0].state == "interrupted"


def test_a_new_attempt_counts_more_than_the_result_of_an_earlier_one(tmp_path: Path) -> None:
    wanted = job("ok")
    planned(tmp_path, wanted)
    folder = begun(tmp_path, wanted)
    Result(id=wanted.id, attempt=0, status="blocked").save(folder.result)
    with lock.hold(tmp_path):
        assert status.read(tmp_path)[0].state == "running"


def test_a_plan_can_be_chosen_and_an_unknown_one_is_named(tmp_path: Path) -> None:
    first, second = job("ok"), job("ok", seed=1)
    planned(tmp_path, first)
    planned(tmp_path, second, name="smoke")
    assert [state.id for state in status.read(tmp_path, plan="smoke")] == [second.id]
    assert len(status.read(tmp_path)) == 2
    with pytest.raises(UsageError, match=r"Unknown plan 'smoky'\. Did you mean 'smoke'"):
        status.read(tmp_path, plan="smoky")


def test_jobs_that_no_plan_lists_are_shown_too(tmp_path: Path) -> None:
    begun(tmp_path, job("ok"))
    assert [state.name for state in status.read(tmp_path)] == ["fake/none/softmax/seed 0"]


def test_a_missing_runs_folder_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="There is no runs folder"):
        status.read(tmp_path / "nowhere")
