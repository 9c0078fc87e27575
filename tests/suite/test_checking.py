"""`unsmooth check` on files that hang, exit, call home or are not there; and on what `unsmooth new` writes."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from suite import scaffold
from tests.suite.command import Command

ROOT = Path(__file__).parents[2]
VARIANT = """
from jobs.api import Variant

class Odd(Variant):
    def mix(self, a, v):
        {line}
        return a(v)
"""


@pytest.fixture
def unsmooth(tmp_path: Path) -> Command:
    return Command(tmp_path, tmp_path / "cache")


def odd(folder: Path, line: str) -> Path:
    path = folder / "odd.py"
    path.write_text(VARIANT.format(line=line))
    return path


def examined(unsmooth: Command, path: Path, *options: str, code: int = 1) -> dict[str, Any]:
    done = unsmooth("check", str(path), "--quick", "--json", *options)
    assert done.returncode == code, done.stderr
    return {one["check"]: one for one in json.loads(done.stdout)["findings"]}


def test_what_new_writes_passes_its_checks(unsmooth: Command, tmp_path: Path) -> None:
    path, formula = scaffold.write("my_idea", tmp_path)
    found = examined(unsmooth, path, code=0)
    assert found["formula"]["status"] == "pass"
    formula.unlink()
    assert examined(unsmooth, path, code=0)["formula"]["reason"].startswith("there is no my_idea_formula.py")


def test_a_formula_that_says_something_else_fails_the_check(unsmooth: Command, tmp_path: Path) -> None:
    path, formula = scaffold.write("my_idea", tmp_path)
    formula.write_text(formula.read_text().replace("- strength", "+ strength"))
    done = unsmooth("check", str(path), "--quick")
    assert done.returncode == 1
    assert "fail formula" in done.stdout
    assert "differs from my_idea_formula.py" in done.stdout


def test_a_formula_that_cannot_be_read_is_a_usage_error(unsmooth: Command, tmp_path: Path) -> None:
    path, formula = scaffold.write("my_idea", tmp_path)
    formula.write_text("def head(:")
    done = unsmooth("check", str(path), "--quick")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "my_idea_formula.py: SyntaxError" in done.stderr


def test_code_that_never_ends_is_ended_and_said(unsmooth: Command, tmp_path: Path) -> None:
    found = examined(unsmooth, odd(tmp_path, "while True: pass"), "--time-limit", "15")
    assert found["time limit"]["reason"] == "the checks did not end within 15 s; --time-limit gives them more"


def test_code_that_exits_is_a_finding(unsmooth: Command, tmp_path: Path) -> None:
    found = examined(unsmooth, odd(tmp_path, "raise SystemExit(3)"))
    assert found["process"]["reason"].startswith("it ended with exit code 3")


def test_what_the_code_prints_disturbs_no_finding(unsmooth: Command, tmp_path: Path) -> None:
    assert examined(unsmooth, odd(tmp_path, "print(5); print('{}'); __import__('os').system('echo 7')"), code=0)


def test_the_checks_end_with_the_command_however_it_dies(unsmooth: Command, tmp_path: Path) -> None:
    mark = tmp_path / "pid"
    path = odd(
        tmp_path, f"open({str(mark)!r}, 'w').write(str(__import__('os').getpid())); __import__('time').sleep(600)"
    )
    command = [sys.executable, "-m", "suite.cli", "check", str(path)]
    child = subprocess.Popen(command, cwd=tmp_path, env=unsmooth.environment | {"PYTHONPATH": str(ROOT)})
    _until(lambda: mark.exists() and mark.read_text().isdigit())
    child.kill()
    child.wait()
    _until(lambda: not Path("/proc", mark.read_text(), "cmdline").exists())


def _until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.05)


@pytest.mark.skipif(os.geteuid() != 0, reason="Only root may always leave the network.")
def test_code_that_calls_home_finds_nobody(unsmooth: Command, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as home:
        port = home.getsockname()[1]
        found = examined(unsmooth, odd(tmp_path, f"__import__('socket').create_connection(('127.0.0.1', {port}), 1)"))
        home.settimeout(0.1)
        with pytest.raises(TimeoutError):
            home.accept()
    assert "ConnectionRefusedError" in found["future"]["reason"]


@pytest.mark.parametrize(
    ("variant", "message"),
    [
        ("nowhere.py", "nowhere.py: no such file."),
        ("neutrino", "Unknown variant 'neutrino'. Did you mean 'neutreno'?"),
    ],
)
def test_a_variant_that_is_not_there_is_a_usage_error(unsmooth: Command, variant: str, message: str) -> None:
    done = unsmooth("check", variant)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert message in done.stderr
