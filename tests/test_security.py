"""Promises of SECURITY.md that can be read off the source, or off a command."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobs.contract import JobFolder
from suite.running import prepare
from suite.running.prepare import PrepareError
from tests.suite.command import Command
from tests.suite.fake_runtime import order, spec

ROOT = Path(__file__).parents[1]


def calls(name: str) -> Iterator[tuple[str, ast.Call]]:
    """Every call of `name`, such as torch.load, in both planes, with the place where it is."""
    for path in sorted([*(ROOT / "jobs").rglob("*.py"), *(ROOT / "suite").rglob("*.py")]):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == name:
                yield f"{path.relative_to(ROOT)}:{node.lineno}", node


def test_checkpoints_are_read_as_weights_and_never_as_programs() -> None:
    found = dict(calls("torch.load"))
    assert found
    safe = {
        place
        for place, call in found.items()
        for word in call.keywords
        if word.arg == "weights_only" and ast.unparse(word.value) == "True"
    }
    assert set(found) - safe == set()


@pytest.mark.parametrize("name", ["eval", "exec", "os.system", "pickle.load", "pickle.loads", "yaml.unsafe_load"])
def test_nothing_that_is_read_is_executed(name: str) -> None:
    assert [place for place, _ in calls(name)] == []


def test_no_command_goes_through_a_shell() -> None:
    shells = [
        place
        for function in ("subprocess.run", "subprocess.Popen", "subprocess.check_output")
        for place, call in calls(function)
        if any(word.arg == "shell" for word in call.keywords)
    ]
    assert shells == []


@pytest.mark.parametrize("upstream", ["../../etc", "..", "/etc", "a/b"])
def test_an_upstream_job_cannot_lie_outside_the_runs_folder(tmp_path: Path, upstream: str) -> None:
    folder = JobFolder(tmp_path / "runs" / "job")
    folder.root.mkdir(parents=True)
    with pytest.raises(PrepareError, match="is no job's id"):
        prepare.upstream(folder, order(spec("ok", upstream=upstream)))


def test_a_data_set_cannot_lie_outside_the_data_folder(tmp_path: Path) -> None:
    plan = tmp_path / "plan.yaml"
    entry = "{task: classification, data: imagefolder, arguments: {folder: ../secret}}"
    plan.write_text(f"name: x\ntier: development\nseeds: [0]\ntasks: [{entry}]\nvariants: [softmax]\n")
    told = Command(tmp_path, tmp_path / "cache")("plan", plan)
    assert told.returncode == 2
    assert "folder must be a path below the data root, got '../secret'" in told.stderr


def test_a_password_in_the_tracking_address_is_never_shown_or_written(tmp_path: Path) -> None:
    command = Command(tmp_path, tmp_path / "cache")
    uri = "http://me:geheim@127.0.0.1:9/"
    words = ("run", "nano", "--select", "graph", "--runs", "runs", "--tracking-uri", uri)
    done = command(*words)
    assert done.returncode == 0
    assert "http://***@127.0.0.1:9/" in done.stdout
    told = [done.stdout, done.stderr, *(path.read_text(errors="replace") for path in (tmp_path / "runs").rglob("*.*"))]
    assert [text for text in told if "geheim" in text] == []
