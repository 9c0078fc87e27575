"""The four images, built here from a local base without a registry: what is in them, and what is not."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from suite.images import NAMES
from tests.suite.command import Command

if TYPE_CHECKING:  # pytest imports the plug-in itself
    from tests.cluster.engine import Daemon

pytestmark = pytest.mark.cluster
pytest_plugins = ("tests.cluster.engine",)

FORBIDDEN = """
import importlib.util, pathlib, shutil, sys
found = [name for name in ("gcc", "g++", "cc") if shutil.which(name)]
found += [name for name in ("suite", "ray", "mlflow") if importlib.util.find_spec(name)]
found += [str(path) for place in ("/app", "/root", "/etc", "/run", "/tmp", "/opt/venv") for path in
          pathlib.Path(place).glob("**/pip.conf")]
print(found)
"""


@pytest.mark.parametrize("name", NAMES)
def test_an_image_keeps_its_promises_without_network_rights_or_root(images: Path, engine: "Daemon", name: str) -> None:
    confined = ("--network", "none", "--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL", "--user", "4321:4321")
    done = engine("run", "--rm", *confined, f"unsmooth-{name}", "python", "-m", "jobs", "doctor")
    assert done.returncode == 0, done.stdout
    assert [line for line in done.stdout.splitlines() if line.startswith("missing")] == []
    assert f"\nok      {name} " in done.stdout


@pytest.mark.parametrize("name", NAMES)
def test_an_image_says_what_it_is_and_how_it_is(images: Path, engine: "Daemon", name: str) -> None:
    (stated,) = json.loads(engine("image", "inspect", f"unsmooth-{name}").stdout)
    config = stated["Config"]
    assert config["User"] == "1000"
    assert config["Healthcheck"]["Test"] == ["CMD", "python", "-m", "jobs", "doctor"]
    assert config["Labels"]["org.opencontainers.image.title"] == f"unsmooth-{name}"
    assert len(config["Labels"]["org.opencontainers.image.revision"].removesuffix("-dirty")) in (40, len("unknown"))


@pytest.mark.parametrize("name", NAMES)
def test_an_image_holds_no_compiler_no_suite_and_nothing_of_how_it_was_built(
    images: Path, engine: "Daemon", name: str
) -> None:
    done = engine("run", "--rm", "--network", "none", "--user", "0", f"unsmooth-{name}", "python", "-c", FORBIDDEN)
    assert done.stdout.strip() == "[]"


def test_a_promise_that_is_broken_ends_the_build(images: Path, engine: "Daemon") -> None:
    words = ("run", "--rm", "--network", "none", "--env", "UNSMOOTH_PROMISES=segmentation", "unsmooth-graph")
    done = engine(*words, "python", "-m", "jobs", "doctor")
    assert done.returncode == 1
    assert "missing segmentation" in done.stdout


def test_all_of_them_are_noted_and_ready(images: Path, tmp_path: Path) -> None:
    rows = Command(tmp_path, tmp_path / "cache").json("images", "list")
    assert {row["name"]: row["state"] for row in rows} == dict.fromkeys(NAMES, "ready")
    assert all(row["digest"].startswith("sha256:") and row["base"].startswith("local/debian") for row in rows)
