import dataclasses
import json
from pathlib import Path

import pytest

from suite.leaderboard.board import build
from suite.leaderboard.rows import Row, read
from suite.planning.manifest import Manifest, PlannedJob
from tests.suite.board_fixture import LOG, write_runs


def row(rows: list[Row], task: str, variant: str, depth: int | None = None) -> Row:
    found = [one for one in rows if (one.task, one.variant) == (task, variant)]
    return next(one for one in found if depth is None or one.setting["arguments"]["depth"] == depth)


def test_every_planned_job_is_in_exactly_one_row(folder: tuple[Path, Manifest]):
    rows = read(*folder)
    assert sorted(trial.id for one in rows for trial in one.trials) == sorted(job.id for job in folder[1].jobs)
    assert len(rows) == 5 * 6


def test_a_failure_keeps_its_class_reason_advice_and_log(folder: tuple[Path, Manifest]):
    good, bad = row(read(*folder), "classification", "attnscale").trials
    assert good.status == "ok"
    assert (bad.status, bad.failure, bad.exit_code, bad.value) == ("failed", "nan", 1, None)
    assert bad.reason == "The loss became nan at step 38."
    assert bad.log_tail == tuple(LOG)


def test_skipped_blocked_and_pending_jobs_are_trials_too(folder: tuple[Path, Manifest]):
    rows = read(*folder)
    assert {trial.status for trial in row(rows, "language", "featscale").trials} == {"skipped"}
    assert {trial.status for trial in row(rows, "segmentation", "featscale").trials} == {"blocked"}
    assert [trial.status for trial in row(rows, "segmentation", "attnscale").trials] == ["ok", "pending"]


def test_a_graphs_baseline_goes_by_its_body(folder: tuple[Path, Manifest]):
    rows = read(*folder)
    assert row(rows, "graph", "softmax", 4).name == "gcn"
    assert row(rows, "language", "softmax").name == "softmax"
    assert row(rows, "graph", "neutreno", 4).name == "neutreno[lam=0.6]"


def test_profiles_are_averaged_over_seeds_layer_by_layer(folder: tuple[Path, Manifest]):
    runs, manifest = folder
    one = row(read(runs, manifest), "graph", "centered", 12)
    curve = next(c for c in one.profile if (c.metric, c.site) == ("cosine", "block"))
    profiles = [json.loads((runs / t.id / "result.json").read_text())["numbers"]["profile"] for t in one.trials]
    sixth = [layer["cosine"] for p in profiles for layer in p if (layer["layer"], layer["site"]) == (6, "block")]
    assert len(sixth) == 2
    assert sixth[0] != sixth[1]
    assert curve.layers == tuple(range(12))
    assert curve.values[6] == sum(sixth) / 2
    assert one.last_layer("cosine") == curve.values[-1]


def test_a_result_that_cannot_be_read_is_a_failed_trial(tmp_path: Path):
    manifest = write_runs(tmp_path)
    (tmp_path / manifest.jobs[0].id / "result.json").write_text('{"schema": 1, "id"')
    trial = row(read(tmp_path, manifest), "classification", "softmax").trials[0]
    assert (trial.status, trial.failure) == ("failed", "error")
    assert trial.reason is not None
    assert "not valid JSON" in trial.reason


def test_uncommitted_changes_are_seen_even_where_a_killed_job_left_only_its_launch_file(tmp_path: Path):
    manifest = write_runs(tmp_path)
    attempt = tmp_path / manifest.jobs[0].id / "attempts" / "1"
    (attempt / "provenance.json").unlink()
    launch = json.loads((attempt / "launch.json").read_text())
    (attempt / "launch.json").write_text(json.dumps({**launch, "git": {"sha": "f00d", "dirty": True}}))
    trial = row(read(tmp_path, manifest), "classification", "softmax").trials[0]
    assert (trial.git_sha, trial.dirty) == ("f00d", True)


def with_a_classifier_under_segmentation(manifest: Manifest) -> Manifest:
    """Every segmentation job once more, starting from the classification job of its variant and seed."""
    of = {(job.spec.task, job.spec.variant, job.spec.seed): job for job in manifest.jobs}
    added = []
    for (task, *key), job in of.items():
        if task == "segmentation":
            spec = dataclasses.replace(job.spec, upstream=of["classification", *key].id)
            added.append(PlannedJob(id=spec.id, entry="pretrained", label="pretrained", spec=spec))
    return dataclasses.replace(manifest, jobs=(*manifest.jobs, *added))


def test_training_from_scratch_and_from_a_classifier_are_two_rows_and_two_settings(
    folder: tuple[Path, Manifest], tmp_path: Path
):
    both = with_a_classifier_under_segmentation(folder[1])
    rows = [one for one in read(tmp_path, both) if (one.task, one.variant) == ("segmentation", "softmax")]
    assert [(one.upstream, [trial.seed for trial in one.trials]) for one in rows] == [
        (None, [0, 1]),
        ("classification", [0, 1]),
    ]
    task = next(task for task in build(tmp_path, both).tasks if task.name == "segmentation")
    assert [len(setting.entries) for setting in task.settings] == [6, 6]


def test_an_edited_variant_is_a_row_of_its_own(folder: tuple[Path, Manifest], tmp_path: Path):
    first = folder[1].jobs[0]
    specs = [dataclasses.replace(first.spec, variant="mine", variant_sha256=sha) for sha in ("aa", "bb")]
    jobs = tuple(dataclasses.replace(first, id=spec.id, spec=spec) for spec in specs)
    rows = read(tmp_path, dataclasses.replace(folder[1], jobs=jobs))
    assert [[trial.id for trial in one.trials] for one in rows] == [[spec.id] for spec in specs]


def test_two_jobs_of_one_seed_in_a_row_are_never_merged_silently(folder: tuple[Path, Manifest]):
    one = row(read(*folder), "classification", "softmax")
    with pytest.raises(ValueError, match="several jobs for one seed"):
        dataclasses.replace(one, trials=one.trials + one.trials[:1])
