"""What a run was asked to do can be read back without the plan file."""

import dataclasses
from pathlib import Path

import pytest

from jobs.contract import ContractError, read_json, write_json
from suite.errors import UsageError
from suite.planning import manifest
from suite.planning.catalogue import Catalogue
from suite.planning.plan import Choice, Entry, Plan, expand, with_outside_variants
from tests.suite.described import catalogue

PLAN = Plan(
    name="both",
    tier="ranked",
    seeds=(0, 1),
    entries=(Entry(name="deep", task="graph", arguments={"depth": [2, 8]}, limits_s={"train": 60.0}),),
    variants=(Choice(name="softmax"), Choice(name="neutreno")),
)


def test_a_manifest_reads_back_as_it_was_written(tmp_path: Path) -> None:
    written = manifest.of(PLAN, expand(PLAN, catalogue()), catalogue())
    path = manifest.save(written, tmp_path)
    assert path == tmp_path / "plans" / "both.json"
    assert manifest.load(path) == written
    assert manifest.load_all(tmp_path) == [written]


def test_jobs_carry_the_label_of_their_setting_and_tasks_their_metric() -> None:
    written = manifest.of(PLAN, expand(PLAN, catalogue()), catalogue())
    assert {job.label for job in written.jobs} == {"graph karate model=gcn depth=2", "graph karate model=gcn depth=8"}
    assert written.tasks["graph"]["metric"]["name"] == "accuracy"


def test_settings_that_would_share_a_label_are_told_apart_by_their_entry() -> None:
    entries = (Entry(name="short", task="graph", steps=10), Entry(name="long", task="graph", steps=20))
    plan = Plan(name="p", tier="ranked", seeds=(0,), entries=entries, variants=(Choice(name="softmax"),))
    written = manifest.of(plan, expand(plan, catalogue()), catalogue())
    assert [job.label for job in written.jobs] == [
        "graph karate model=gcn depth=2 (short)",
        "graph karate model=gcn depth=2 (long)",
    ]


def test_settings_that_would_share_a_label_show_the_argument_that_differs() -> None:
    entries = (Entry(name="deep", task="graph", arguments={"dropout": [0.1, 0.5]}),)
    plan = Plan(name="p", tier="ranked", seeds=(0,), entries=entries, variants=(Choice(name="softmax"),))
    labels = [job.label for job in manifest.of(plan, expand(plan, catalogue()), catalogue()).jobs]
    assert labels == [f"graph karate model=gcn depth=2 dropout={p}" for p in (0.1, 0.5)]


def test_an_engine_other_than_the_usual_one_is_part_of_the_label() -> None:
    entries = (Entry(name="a", task="language"), Entry(name="b", task="language", engine="fairseq"))
    plan = dataclasses.replace(PLAN, entries=entries)
    listed = manifest.of(plan, expand(plan, catalogue()), catalogue())
    assert sorted({job.label for job in listed.jobs}) == ["language pydoc", "language pydoc fairseq"]


def test_a_damaged_manifest_is_named_and_nothing_is_overwritten(tmp_path: Path) -> None:
    path = manifest.remember(PLAN, expand(PLAN, catalogue()), catalogue(), tmp_path)
    path.write_text("{")
    with pytest.raises(UsageError, match=r"both.json: not valid JSON .* Delete it and run again"):
        manifest.remember(PLAN, expand(PLAN, catalogue()), catalogue(), tmp_path)
    assert path.read_text() == "{"


def test_a_second_part_of_the_plan_joins_the_first(tmp_path: Path) -> None:
    for select in ("graph[depth=2]", "graph[depth=8]"):
        path = manifest.remember(PLAN, expand(PLAN, catalogue(), select=[select]), catalogue(), tmp_path)
    assert [job.id for job in manifest.load(path).jobs] == [job.id for job in expand(PLAN, catalogue())]


def test_other_seeds_join_too_and_jobs_the_plan_no_longer_has_leave(tmp_path: Path) -> None:
    manifest.remember(PLAN, expand(PLAN, catalogue()), catalogue(), tmp_path)
    shorter = Plan(name="both", tier="ranked", seeds=(0,), entries=PLAN.entries, variants=PLAN.variants[:1])
    path = manifest.remember(shorter, expand(shorter, catalogue(), seeds=[7]), catalogue(), tmp_path)
    left = manifest.load(path).jobs
    assert {job.spec.variant for job in left} == {"softmax"}
    assert {job.spec.seed for job in left} == {0, 1, 7}


def test_what_was_predicted_stays_until_the_job_is_run_again(tmp_path: Path) -> None:
    jobs = expand(PLAN, catalogue())
    first = {job.id: manifest.Prediction(wall_s=60.0, origin="guessed") for job in jobs}
    manifest.remember(PLAN, jobs, catalogue(), tmp_path, predictions=first)
    again = {jobs[0].id: manifest.Prediction(wall_s=50.0, peak_bytes=1e9, origin="measured")}
    found = manifest.load(manifest.remember(PLAN, jobs, catalogue(), tmp_path, predictions=again))
    assert {job.id: job.predicted for job in found.jobs} == first | again


def test_a_manifest_of_before_predictions_were_kept_can_be_read(tmp_path: Path) -> None:
    path = manifest.remember(PLAN, expand(PLAN, catalogue()), catalogue(), tmp_path)
    document = read_json(path)
    for job in document["jobs"]:
        del job["predicted"]
    write_json(path, document)
    assert {job.predicted for job in manifest.load(path).jobs} == {None}


def test_a_manifest_of_another_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "old.json"
    path.write_text('{"schema": 99, "jobs": []}')
    with pytest.raises(ContractError, match="schema 99"):
        manifest.load(path)


def test_a_manifest_without_jobs_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "part.json"
    path.write_text('{"schema": 1, "name": "part"}')
    with pytest.raises(ContractError, match="not a plan's manifest"):
        manifest.load(path)


def test_what_a_job_starts_from_tells_settings_apart_too() -> None:
    entries = (
        Entry(name="scratch", task="graph"),
        Entry(name="before", task="graph", arguments={"depth": 8}),
        Entry(name="after", task="graph", upstream="before"),
    )
    plan = Plan(name="p", tier="ranked", seeds=(0,), entries=entries, variants=(Choice(name="softmax"),))
    labels = [job.label for job in manifest.of(plan, expand(plan, catalogue()), catalogue()).jobs]
    assert [label.rpartition(" ")[2] for label in labels] == ["(scratch)", "depth=8", "(after)"]


def run_with(given: Catalogue, runs: Path) -> manifest.Manifest:
    plan = with_outside_variants(PLAN, given)
    command = ["unsmooth", "run", "both", *(w for f in given.variant_files for w in ("--variant-file", str(f)))]
    return manifest.load(manifest.remember(plan, expand(plan, given), given, runs, command=command))


def without_file(found: Catalogue) -> Catalogue:
    variants = {name: variant for name, variant in found.variants.items() if name != "pooled"}
    return dataclasses.replace(found, variants=variants, broken={}, variant_files=())


def with_file(found: Catalogue, sha256: str) -> Catalogue:
    variants = {**found.variants, "pooled": dataclasses.replace(found.variants["pooled"], sha256=sha256)}
    files = (found.variants["pooled"].source,)
    return dataclasses.replace(found, variants=variants, broken={}, variant_files=files)


def test_an_outside_variant_stays_when_another_command_does_not_name_its_file(tmp_path: Path) -> None:
    first = [job for job in run_with(with_file(catalogue(), "aa"), tmp_path).jobs if job.spec.variant == "pooled"]
    for job in first[:-1]:
        (tmp_path / job.id).mkdir()
    second = run_with(without_file(catalogue()), tmp_path)
    kept = [job for job in second.jobs if job.spec.variant == "pooled"]
    assert kept == first[:-1]  # the last one has no folder
    again = second.rerun(kept[0])
    file = catalogue().variants["pooled"].source
    assert again == f"unsmooth run both --variant-file {file} --seeds 0 --select {kept[0].id} --force"


def test_an_edited_outside_variant_replaces_its_older_self(tmp_path: Path) -> None:
    for job in run_with(with_file(catalogue(), "aa"), tmp_path).jobs:
        (tmp_path / job.id).mkdir()
    left = run_with(with_file(catalogue(), "bb"), tmp_path).jobs
    assert {job.spec.variant_sha256 for job in left} == {None, "bb"}


def test_the_command_names_a_file_once_and_as_it_was_typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    found = with_file(catalogue(), "aa")
    pooled = dataclasses.replace(found.variants["pooled"], source=tmp_path / "my.py")
    found = dataclasses.replace(found, variants={**found.variants, "pooled": pooled}, variant_files=(pooled.source,))
    plan = with_outside_variants(PLAN, found)
    written = manifest.of(plan, expand(plan, found), found, command=["unsmooth", "run", "p", "--variant-file", "my.py"])
    assert (written.rerun(written.jobs[-1]) or "").count("my.py") == 1
