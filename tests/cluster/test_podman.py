"""The same jobs in podman, which has no engine of its own and does not tell want of memory."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from jobs.contract import JobFolder, JobSpec, Launch, Result
from suite import images as lock
from suite.running.order import Order
from suite.running.supervise import supervise
from tests.cluster.cell import Cell

if TYPE_CHECKING:  # pytest imports the plug-in itself
    from tests.cluster.engine import Daemon

pytestmark = pytest.mark.cluster
pytest_plugins = ("tests.cluster.engine",)

CONTAINERS = """
[containers]
default_ulimits = ["nofile=1024:4096", "nproc=4096:4096"]
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime = "runc"
init_path = "{init}"
"""
STORAGE = """
[storage]
driver = "overlay"
graphroot = "{folder}/root"
runroot = "{folder}/run"
"""


@pytest.fixture(scope="module")
def podman(engine: "Daemon", images: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A podman that keeps everything in a folder, with docker's image of the graph task in it."""
    from tests.cluster.engine import need

    init = shutil.which("catatonit") or shutil.which("docker-init")
    if shutil.which("podman") is None or init is None:
        need("Containers of podman need podman and docker-init or catatonit.")
    folder = tmp_path_factory.mktemp("podman")
    (folder / "containers.conf").write_text(CONTAINERS.replace("{init}", str(init)))
    (folder / "storage.conf").write_text(STORAGE.replace("{folder}", str(folder)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CONTAINERS_CONF", str(folder / "containers.conf"))
        patch.setenv("CONTAINERS_STORAGE_CONF", str(folder / "storage.conf"))
        with subprocess.Popen(["docker", "save", "unsmooth-graph"], stdout=subprocess.PIPE) as saved:
            subprocess.run(["podman", "load", "--quiet"], stdin=saved.stdout, stdout=subprocess.DEVNULL, check=True)
        patch.setenv("UNSMOOTH_IMAGES", str(folder))
        lock.save("podman", "graph", lock.load("docker", images)["graph"], folder)
        yield folder
        subprocess.run(["podman", "rm", "--all", "--force"], check=False)
        subprocess.run(["podman", "rmi", "--all", "--force"], stdout=subprocess.DEVNULL, check=False)


def containers() -> list[str]:
    listed = subprocess.run(["podman", "ps", "--all", "--quiet"], capture_output=True, text=True, check=True)
    return listed.stdout.split()


@pytest.fixture
def cell(podman: Path, tmp_path: Path, graph: JobSpec) -> Iterator[Cell]:
    yield Cell(tmp_path, graph, runtime="podman")
    assert containers() == []


def test_a_job_ends_well_and_its_files_belong_to_who_runs_the_suite(
    podman: Path, tmp_path: Path, graph: JobSpec
) -> None:
    folder = JobFolder(tmp_path / graph.id)
    result: Result = supervise(folder, Order(spec=graph, runtime="podman", retries=0))
    assert result.status == "ok", result.reason
    assert Launch.load(folder.attempt(1).launch).network == "none"
    assert {path.stat().st_uid for path in folder.root.rglob("*")} == {os.getuid()}
    assert containers() == []


def test_memory_without_end_is_class_oom(cell: Cell) -> None:
    assert cell.run("memory").failure == "oom"


def test_nothing_but_the_jobs_folder_can_be_written_and_there_is_no_network(cell: Cell) -> None:
    assert "Read-only file system" in (cell.run("root").reason or "")
    assert "Network is unreachable" in (cell.run("network", address="192.0.2.1", port=80).reason or "")
