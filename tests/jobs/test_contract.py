"""The two JSON files and the folder they lie in."""

import dataclasses
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from jobs.contract import ContractError, JobFolder, JobSpec, Launch, Result, read_events, read_json, write_json
from tests.jobs.tiny import ROOT, spec


def test_an_id_is_the_hash_of_the_spec_and_stays_what_it_was() -> None:
    job = JobSpec(
        task="graph",
        data="karate",
        split="default",
        arguments={"depth": 2, "lr": 0.01},
        variant="neutreno",
        variant_arguments={"lam": 0.6},
        seed=0,
        steps=10,
        global_batch=1,
    )
    assert job.id == "dbcb4835eb25e6e0"


def test_the_order_of_keys_does_not_change_an_id() -> None:
    assert spec("graph", arguments={"a": 1, "b": 2}).id == spec("graph", arguments={"b": 2, "a": 1}).id


@pytest.mark.parametrize("field", [field.name for field in dataclasses.fields(JobSpec) if field.name != "schema"])
def test_every_field_of_a_spec_changes_its_id(field: str) -> None:
    job = spec("graph")
    value = getattr(job, field)
    other = {"changed": 1} if isinstance(value, dict) else "changed" if isinstance(value, str | None) else value + 1
    assert dataclasses.replace(job, **{field: other}).id != job.id


def test_variant_seed_and_upstream_are_not_part_of_the_setting() -> None:
    assert spec("graph", "neutreno", seed=3, upstream="x").setting() == spec("graph").setting()
    assert spec("graph", steps=7).setting() != spec("graph").setting()


def test_records_survive_a_round_trip(tmp_path: Path) -> None:
    for record in (spec("graph"), Launch(attempt=2, limits_s={"train": 3.0}), Result(id="x", attempt=1, status="ok")):
        record.save(tmp_path / "record.json")
        assert type(record).load(tmp_path / "record.json") == record


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema": 2}, "schema 2; this version reads schema 1"),
        ({"colour": "red"}, "unknown fields colour"),
        ({"task": None}, "missing fields task"),
    ],
)
def test_foreign_documents_are_refused_by_name(tmp_path: Path, change: dict[str, object], message: str) -> None:
    document = {key: value for key, value in (spec("graph").to_dict() | change).items() if value is not None}
    write_json(tmp_path / "spec.json", document)
    with pytest.raises(ContractError, match=message):
        JobSpec.load(tmp_path / "spec.json")


@pytest.mark.parametrize(("text", "message"), [("{", "not valid JSON"), ("[1]", "one JSON object, got list")])
def test_damaged_files_are_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "spec.json").write_text(text)
    with pytest.raises(ContractError, match=message):
        read_json(tmp_path / "spec.json")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ContractError, match=r"none\.json: no such file"):
        read_json(tmp_path / "none.json")


def test_nan_never_enters_a_file(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "x.json", {"value": float("nan")})
    assert not (tmp_path / "x.json").exists()


def test_a_writer_killed_at_any_moment_leaves_whole_files(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    loop = f"""
import itertools
from pathlib import Path
from jobs.contract import write_json
for n in itertools.count():
    write_json(Path({str(path)!r}), {{"n": n, "rest": "x" * 100_000}})
"""
    writer = subprocess.Popen([sys.executable, "-c", loop], env=os.environ | {"PYTHONPATH": str(ROOT)})
    while not path.exists():
        assert writer.poll() is None
    for _ in range(200):
        assert len(read_json(path)["rest"]) == 100_000
    os.kill(writer.pid, signal.SIGKILL)
    writer.wait()
    assert len(read_json(path)["rest"]) == 100_000


def test_an_unfinished_last_event_is_left_for_later(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(b'{"kind":"step","step":1}\n{"kind":"st')
    ((offset, event),) = read_events(path)
    assert event["step"] == 1
    path.write_bytes(b'{"kind":"step","step":1}\n{"kind":"step","step":2}\n')
    assert [event["step"] for _, event in read_events(path, offset)] == [2]


def test_a_line_cut_short_by_a_crash_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(b'{"kind":"st\n{"kind":"step","step":2}\n')
    assert [event["step"] for _, event in read_events(path)] == [2]


def test_attempts_are_counted_as_numbers(tmp_path: Path) -> None:
    for number in ("2", "10", "1", "note"):
        (tmp_path / "attempts" / number).mkdir(parents=True)
    assert JobFolder(tmp_path).attempts() == [1, 2, 10]


def test_the_contract_needs_the_standard_library_only() -> None:
    code = "import sys, jobs.contract; print(sorted({m.split('.')[0] for m in sys.modules} - sys.stdlib_module_names))"
    found = subprocess.run([sys.executable, "-S", "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "['__main__', 'jobs']" or found.stdout.strip() == "['jobs']", found.stdout
