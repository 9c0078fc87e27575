"""The doctor looks at this very machine, and knows a sick one when it sees it."""

from pathlib import Path

import pytest

from suite import doctor


def test_the_machine_that_runs_the_tests_has_nothing_failing(tmp_path: Path) -> None:
    checks = doctor.examine(tmp_path)
    assert [check for check in checks if check.status == "fail"] == []
    assert {"Python", "torch", "ray", "mlflow", "timm", "variants, tasks", "disk", "GPUs"} <= {c.name for c in checks}


def test_a_missing_package_is_named_with_what_to_do() -> None:
    (check,) = doctor.packages(["no-such-package"], {})
    assert (check.status, check.found) == ("fail", "not installed")
    assert check.advice == "Run make install."


def test_another_version_than_the_tried_one_is_a_warning() -> None:
    (check,) = doctor.packages(["pydantic"], {"pydantic": "1.0"})
    assert check.status == "warn"
    assert check.found.endswith("tried with 1.0")


def test_names_of_packages_are_compared_as_pip_does(tmp_path: Path) -> None:
    path = tmp_path / "constraints.txt"
    path.write_text("# tried\nTorch_Geometric==2.8.1\nray==2.60.0  # pinned\nnumpy>=2\n")
    assert doctor.read_pins(path) == {"torch-geometric": "2.8.1", "ray": "2.60.0"}
    assert doctor.read_pins(tmp_path / "none.txt") == {}


def test_a_runs_folder_that_cannot_be_written_fails(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    check = doctor.writable(tmp_path / "file")
    assert check.status == "fail"
    assert check.advice == "Choose another folder with --runs."
    assert doctor.writable(tmp_path / "new" / "deep").status == "ok"


def test_an_environment_apart_is_missing_broken_or_told_with_its_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []
    for script in (None, "echo 'No module named fairseq' >&2; exit 1", "echo 0.12.2"):
        if script:
            (tmp_path / "python").write_text(f"#!/bin/sh\n{script}\n")
            (tmp_path / "python").chmod(0o755)
        monkeypatch.setenv("UNSMOOTH_FAIRSEQ_PYTHON", str(tmp_path / "python"))
        (check,) = doctor.environments()
        found.append((check.status, check.found, check.advice))
    assert found == [
        ("warn", f"no {tmp_path}/python", "For jobs with engine fairseq: make fairseq."),
        ("warn", "No module named fairseq", "Build it again: make fairseq."),
        ("ok", f"fairseq 0.12.2, {tmp_path}/python", ""),
    ]


def test_a_machine_without_shared_memory_is_warned(tmp_path: Path) -> None:
    assert doctor.shared_memory(tmp_path / "none").status == "warn"
