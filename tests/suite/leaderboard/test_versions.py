"""Results of several versions of the data or of the code are shown, said to be so, and not compared."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from jobs.contract import JobFolder, write_json
from suite.data.fingerprint import Listing
from suite.leaderboard.board import Entry, Setting, _told_apart, build
from suite.leaderboard.page import render
from suite.leaderboard.tables import comma_separated, markdown
from suite.planning.manifest import Manifest, PlannedJob
from suite.provenance import data_path
from tests.suite.board_fixture import PLACES, write_runs

SENTENCE = "These results come from several versions of the data set pydoc."


@pytest.fixture
def written(tmp_path: Path) -> tuple[Path, Manifest]:
    places = [place for place in PLACES if place.task in ("language", "classification")]
    return tmp_path, write_runs(tmp_path, seeds=(0, 1, 2), tier="ranked", places=places)


def jobs(manifest: Manifest, **wanted: Any) -> list[PlannedJob]:
    found = [job for job in manifest.jobs if job.spec.task == "language"]
    return [job for job in found if all(getattr(job.spec, key) == value for key, value in wanted.items())]


def read(runs: Path, job: PlannedJob, digest: str) -> None:
    """What the job says it has read."""
    path = JobFolder(runs / job.id).attempt(1).provenance
    write_json(path, {**json.loads(path.read_text()), "data": {"name": "pydoc", "digest": digest}})


def note(runs: Path, job: PlannedJob, **noted: Any) -> None:
    """What lay there before it began."""
    write_json(
        data_path(JobFolder(runs / job.id).attempt(1)), {"name": "pydoc", "root": "/nowhere", "place": "x", **noted}
    )


def imported(runs: Path, job: PlannedJob, **code: str) -> None:
    """Which of our modules it had imported."""
    path = JobFolder(runs / job.id).attempt(1).provenance
    digests = {f"jobs/{name.replace('__', '/')}.py": digest for name, digest in code.items()}
    write_json(path, {**json.loads(path.read_text()), "code": digests})


def language(runs: Path, manifest: Manifest) -> Setting:
    return next(task for task in build(runs, manifest).tasks if task.name == "language").settings[0]


def entry(setting: Setting, variant: str) -> Entry:
    return next(entry for entry in setting.entries if entry.row.variant == variant)


def test_the_same_data_everywhere_are_not_worth_a_word(written: tuple[Path, Manifest]) -> None:
    for job in jobs(written[1]):
        note(written[0], job, digest="a")
    setting = language(*written)
    assert setting.mixed is None
    assert entry(setting, "neutreno").rank is not None


def test_seeds_on_which_the_baseline_had_other_data_are_not_compared_and_nothing_is_ranked(
    written: tuple[Path, Manifest],
) -> None:
    runs, manifest = written
    read(runs, jobs(manifest, variant="neutreno", seed=1)[0], "other")
    setting = language(runs, manifest)
    assert (setting.mixed or "").startswith(SENTENCE)
    comparison = entry(setting, "neutreno").comparison
    assert comparison is not None and comparison.estimate is not None and comparison.estimate.n == 2
    assert {one.rank for one in setting.entries} == {None}
    assert entry(setting, "centered").unranked == "Its setting mixes results of several versions."
    assert [task.settings[0].mixed for task in build(runs, manifest).tasks if task.name != "language"] == [None]


def test_a_split_drawn_by_the_seed_is_no_other_version(written: tuple[Path, Manifest]) -> None:
    for job in jobs(written[1]):
        read(written[0], job, f"of seed {job.spec.seed}")
    assert language(*written).mixed is None


def test_seeds_run_before_and_after_the_files_changed_are_told(written: tuple[Path, Manifest]) -> None:
    for job in jobs(written[1]):
        note(written[0], job, digest="new" if job.spec.seed == 2 else "old")
        read(written[0], job, f"of seed {job.spec.seed}")
    assert (language(*written).mixed or "").startswith(SENTENCE)


def test_results_of_other_code_are_not_compared_and_the_file_is_named(written: tuple[Path, Manifest]) -> None:
    runs, manifest = written
    for job in jobs(manifest):
        odd = job.spec.variant == "neutreno" and job.spec.seed == 1
        imported(runs, job, hosts__lm="new" if odd else "old", api="same")
    setting = language(runs, manifest)
    assert "several versions of the code (jobs/hosts/lm.py)." in (setting.mixed or "")
    comparison = entry(setting, "neutreno").comparison
    assert comparison is not None and comparison.estimate is not None and comparison.estimate.n == 2
    assert {one.rank for one in setting.entries} == {None}


def test_files_of_one_variant_alone_and_plumbing_are_no_other_code(written: tuple[Path, Manifest]) -> None:
    runs, manifest = written
    for number, job in enumerate(jobs(manifest)):
        own = {f"variants__{job.spec.variant}": job.spec.variant}
        imported(runs, job, hosts__lm="same", doctor=f"{number}", **own)
    setting = language(runs, manifest)
    assert setting.mixed is None
    assert entry(setting, "neutreno").rank is not None


def test_page_and_tables_say_so(written: tuple[Path, Manifest]) -> None:
    read(written[0], jobs(written[1], variant="neutreno", seed=1)[0], "other")
    board = build(*written)
    for text in (render(board), markdown(board), comma_separated(board)):
        assert SENTENCE in text


def test_results_whose_data_have_changed_since_are_marked(
    written: tuple[Path, Manifest], tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
    root = tmp_path_factory.mktemp("data")
    (root / "x").mkdir()
    (root / "x/file").write_text("before")
    listed = Listing.of(root / "x")
    assert listed is not None
    for job in jobs(written[1], variant="neutreno"):
        note(written[0], job, root=str(root), **listed.to_dict())
    (root / "x/file").write_text("after")
    board = build(*written)
    assert board.stale == 3
    page = render(board)
    assert "3 results are stale: their data have changed since" in page
    assert page.count("stale: the data set pydoc has changed since") == 3
    assert "3 results are of data that have changed since." in markdown(board)


def test_another_file_beside_the_data_is_of_no_concern_where_jobs_read_the_same(
    written: tuple[Path, Manifest],
) -> None:
    for job in jobs(written[1]):
        note(written[0], job, digest="a" if job.spec.variant == "softmax" else "b")
        read(written[0], job, f"the split of seed {job.spec.seed}")
    setting = language(*written)
    assert setting.mixed is None
    assert entry(setting, "neutreno").rank is not None


def test_settings_of_one_label_name_the_arguments_that_differ(tmp_path: Path) -> None:
    rows = [
        row
        for task in build(tmp_path, write_runs(tmp_path, seeds=(0, 1))).tasks
        for setting in task.settings
        for row in [setting.entries[0].row]
    ]
    twin = dataclasses.replace(rows[0], setting={**rows[0].setting, "arguments": {"bands": "equal"}})
    rival = dataclasses.replace(rows[0], setting={**rows[0].setting, "arguments": {"bands": "falling"}})
    assert _told_apart([twin, rival]) == [f"{twin.label} bands=equal", f"{twin.label} bands=falling"]
    assert _told_apart([twin]) == [twin.label]
