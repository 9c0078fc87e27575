"""Recording against the real thing, MLflow on SQLite."""

import dataclasses
import time
from collections import Counter
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run, ViewType

from jobs.contract import JobFolder, JobSpec, Result
from suite.planning.manifest import Manifest
from suite.recording import record
from suite.recording.layout import holder
from suite.recording.measurements import row_key
from suite.recording.mirror import Mirror
from tests.suite.board_fixture import write_runs
from tests.suite.recording.looking import chosen, everything, of_jobs, summarise


@dataclasses.dataclass
class Folder:
    """A runs folder and the few of its jobs that are recorded here: 3 finished, 1 failed, 2 skipped, 2 blocked."""

    runs: Path
    ids: list[str]

    @property
    def uri(self) -> str:
        return record.default_uri(self.runs)

    def id(self, task: str, variant: str, seed: int, manifest: Manifest) -> str:
        wanted = (task, variant, seed)
        return next(j.id for j in manifest.jobs if (j.spec.task, j.spec.variant, j.spec.seed) == wanted)


def histories(uri: str, run: Run) -> dict[str, list[tuple[int, float]]]:
    client = MlflowClient(tracking_uri=uri)
    logged = {name: client.get_metric_history(run.info.run_id, name) for name in run.data.metrics}
    return {name: [(one.step, one.value) for one in history] for name, history in logged.items()}


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    return write_runs(tmp_path_factory.mktemp("manifest"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    """Recorded once; the tests that only look share it."""
    runs = tmp_path_factory.mktemp("runs")
    made = Folder(runs, chosen(write_runs(runs)))
    summary = record.save(runs, made.ids, made.uri)
    assert summary.sentence() == "8 recorded, 0 already there."
    return made


@pytest.fixture(scope="module")
def recorded(folder: Folder) -> dict[str, Run]:
    return of_jobs(everything(folder.uri))


def test_every_job_is_one_run_nested_under_the_run_of_its_row(folder: Folder, recorded: dict[str, Run]):
    assert sorted(recorded) == sorted(folder.ids)
    rows = {run.info.run_id: run for run in everything(folder.uri) if "unsmooth.job_id" not in run.data.tags}
    assert Counter(run.data.tags["mlflow.parentRunId"] for run in recorded.values()) == dict.fromkeys(rows, 2)
    for run in recorded.values():
        assert rows[run.data.tags["mlflow.parentRunId"]].data.tags["unsmooth.row"] == run.data.tags["unsmooth.row"]


def test_how_a_job_ended_is_in_its_status_and_tags(folder: Folder, recorded: dict[str, Run]):
    ends = Counter((run.info.status, run.data.tags["unsmooth.status"]) for run in recorded.values())
    assert ends == {
        ("FINISHED", "ok"): 3,
        ("FAILED", "failed"): 1,
        ("FINISHED", "skipped"): 2,
        ("FAILED", "blocked"): 2,
    }
    failed = next(run for run in recorded.values() if run.data.tags["unsmooth.status"] == "failed")
    assert failed.data.tags["unsmooth.failure"] == "nan"
    assert failed.data.tags["unsmooth.reason"] == "The loss became nan at step 38."
    assert failed.data.tags["unsmooth.tier"] == "development"
    assert failed.data.tags["unsmooth.data_digest"] == "sha256:5f2c"


def test_parameters_curves_and_profile_are_all_there(folder: Folder, manifest: Manifest, recorded: dict[str, Run]):
    name = folder.id("classification", "softmax", 0, manifest)
    result = Result.load(JobFolder(folder.runs / name).result)
    run = recorded[name]
    assert {"variant": "softmax", "seed": "0", "task.model": "tiny", "steps": "60"}.items() <= run.data.params.items()
    history = histories(folder.uri, run)
    assert history["train/loss"] == [(step, round(4 / step, 5)) for step in range(1, 61)]
    assert history["top-1"] == history["board/primary"] == [(0, result.numbers["metrics"]["top-1"]["value"])]
    layers = [(p["layer"], p["cosine"]) for p in result.numbers["profile"] if p["site"] == "block"]
    assert history["profile/encoder/block/cosine"] == layers
    artefacts = {file.path for file in MlflowClient(tracking_uri=folder.uri).list_artifacts(run.info.run_id)}
    assert artefacts == {"spec.json", "result.json", "provenance.json"}


def test_rows_and_jobs_are_named_for_a_chart_and_know_their_data(folder: Folder, recorded: dict[str, Run]):
    named = {run.info.run_name: run for run in everything(folder.uri)}
    row, seed = named["softmax · digits model=tiny"], named["softmax · digits model=tiny · seed 0"]
    assert seed.data.tags["mlflow.parentRunId"] == row.info.run_id
    for run in (row, seed):
        assert run.inputs is not None
        assert [(used.dataset.name, used.dataset.digest) for used in run.inputs.dataset_inputs] == [("digits", "5f2c")]
    assert row.info.start_time == seed.info.start_time


def test_a_row_has_the_mean_over_its_seeds_and_a_figure(folder: Folder, recorded: dict[str, Run], manifest: Manifest):
    client = MlflowClient(tracking_uri=folder.uri)
    seeds = [recorded[folder.id("classification", "softmax", seed, manifest)] for seed in (0, 1)]
    row = client.get_run(seeds[0].data.tags["mlflow.parentRunId"])
    assert row.data.metrics["top-1"] == pytest.approx(sum(run.data.metrics["top-1"] for run in seeds) / 2)
    assert row.data.metrics["board/seeds"] == 2
    assert [file.path for file in client.list_artifacts(row.info.run_id)] == ["profile.png"]


def test_no_run_ends_before_it_began(folder: Folder):
    runs = everything(folder.uri)
    assert runs and all(run.info.start_time <= run.info.end_time for run in runs)


def test_recording_again_changes_nothing(folder: Folder, recorded: dict[str, Run]):
    def seen() -> list[tuple[str, int, dict[str, float]]]:
        runs = everything(folder.uri, ViewType.ALL)
        return sorted((run.info.run_id, run.info.end_time, run.data.metrics) for run in runs)

    before, mirror = seen(), Mirror(folder.runs, folder.uri)
    assert [mirror.job(name) for name in folder.ids] == [False] * 8
    assert mirror.stale_rows(folder.ids) == []
    assert seen() == before


def test_an_interrupted_recording_is_completed_without_doubles_or_gaps(tmp_path: Path, manifest: Manifest):
    folder = Folder(tmp_path, chosen(write_runs(tmp_path)))
    with record.following(folder.runs, folder.ids, folder.uri):
        wait_for_a_run(folder)
    client = MlflowClient(tracking_uri=folder.uri)
    cut = next(run for run in everything(folder.uri) if "unsmooth.job_id" in run.data.tags)
    if "unsmooth.recorded" in cut.data.tags:
        client.delete_tag(cut.info.run_id, "unsmooth.recorded")
    client.update_run(cut.info.run_id, "RUNNING")  # as it is in the middle of a job
    summary = record.save(folder.runs, folder.ids, folder.uri)
    assert sorted(summary.recorded + summary.present) == sorted(folder.ids)
    assert cut.data.tags["unsmooth.job_id"] in summary.recorded
    runs = everything(folder.uri)
    assert {run.info.status for run in runs} == {"FINISHED", "FAILED"}
    history = histories(folder.uri, of_jobs(runs)[folder.id("classification", "softmax", 1, manifest)])
    assert [step for step, _ in history["train/loss"]] == list(range(1, 61))


def wait_for_a_run(folder: Folder) -> None:
    until = time.monotonic() + 90
    while time.monotonic() < until:
        if (folder.runs / "mlruns").exists():  # the first artefact of the first job
            return
        time.sleep(0.05)
    raise TimeoutError("Nothing was recorded while following.")


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Mirror:
    """A record of its own, written from this process: what the child does, without the child."""
    runs = tmp_path_factory.mktemp("scratch")
    write_runs(runs)
    return Mirror(runs, record.default_uri(runs))


def test_a_job_that_ran_again_replaces_what_was_recorded(scratch: Mirror, manifest: Manifest):
    name = chosen(manifest)[0]
    assert scratch.job(name)
    summarise(scratch, [name])
    path = JobFolder(scratch.runs / name).result
    result = Result.load(path)
    numbers = {**result.numbers, "metrics": {"top-1": {"value": 12.5, "unit": "%", "better": "higher"}}}
    dataclasses.replace(result, numbers=numbers).save(path)
    assert scratch.job(name)
    summarise(scratch, [name])
    run = of_jobs(everything(record.default_uri(scratch.runs)))[name]
    assert run.data.metrics["top-1"] == 12.5
    assert scratch.server.client.get_run(run.data.tags["mlflow.parentRunId"]).data.metrics["top-1"] == 12.5


def test_the_board_is_one_run_whose_files_are_replaced(scratch: Mirror, tmp_path: Path):
    page = tmp_path / "leaderboard.html"
    page.write_text("first")
    assert scratch.board("smoke", [page])
    page.write_text("second")
    assert scratch.board("smoke", [page])
    assert not scratch.board("smoke", [page])
    experiment = scratch.server.client.get_experiment_by_name("unsmooth/leaderboard")
    assert experiment is not None
    (board,) = scratch.server.client.search_runs([experiment.experiment_id])
    assert Path(scratch.server.client.download_artifacts(board.info.run_id, "leaderboard.html")).read_text() == "second"


def test_an_edited_variant_and_another_start_are_rows_of_their_own(scratch: Mirror, manifest: Manifest):
    def key(spec: JobSpec) -> str:
        return row_key(spec, scratch.runs)

    first, second, other = (manifest.jobs[index].spec for index in (0, 1, 2))
    assert key(first) == key(second) != key(other)  # two seeds of one row, and another variant
    assert key(dataclasses.replace(first, variant_sha256="aa")) != key(dataclasses.replace(first, variant_sha256="bb"))
    started = [dataclasses.replace(first, upstream=one.id) for one in (first, second, other)]
    assert len({key(spec) for spec in [first, *started]}) == 3


def test_two_runs_folders_share_a_server_and_leave_each_other_alone(tmp_path: Path, manifest: Manifest):
    name, uri = chosen(manifest)[0], record.default_uri(tmp_path)
    page = tmp_path / "leaderboard.html"
    page.write_text("board")
    folders = [tmp_path / "mine", tmp_path / "yours"]
    for runs in folders:
        write_runs(runs)
    path = JobFolder(folders[1] / name).result
    dataclasses.replace(Result.load(path), cost={"wall_s": 99.0}).save(path)
    for written in (True, False):
        for runs in folders:
            mirror = Mirror(runs, uri)
            assert mirror.job(name) is written
            summarise(mirror, [name])
            assert mirror.board("smoke", [page]) is written
    runs = everything(uri)
    jobs = [run for run in runs if "unsmooth.job_id" in run.data.tags]
    assert [sum(holder(folder) in run.data.tags for run in jobs) for folder in folders] == [1, 1]
    assert sum("unsmooth.board" in run.data.tags for run in runs) == 2
    (row,) = (run for run in runs if "board/seeds" in run.data.metrics)
    assert row.data.metrics["board/seeds"] == 1  # the same seed, run twice
    assert len(runs) == 5


def test_jobs_without_a_result_are_passed_over(tmp_path: Path):
    assert record.save(tmp_path, ["0123456789abcdef"], record.default_uri(tmp_path)) == record.Summary()
