"""What a hostile variant tries in a container, and what comes of it: it is contained, and its row says why it ended."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from jobs.contract import JobSpec
from tests.cluster.cell import Cell
from tests.cluster.hostile import variant
from tests.suite.command import Command

if TYPE_CHECKING:  # pytest imports the plug-in itself
    from tests.cluster.engine import Daemon

pytestmark = pytest.mark.cluster
pytest_plugins = ("tests.cluster.engine",)


@pytest.fixture
def cell(tmp_path: Path, images: Path, engine: "Daemon", graph: JobSpec) -> Iterator[Cell]:
    yield Cell(tmp_path, graph)
    assert engine.containers() == []


def test_memory_without_end_is_class_oom(cell: Cell) -> None:
    result = cell.run("memory")
    assert (result.failure, result.exit_code) == ("oom", 137)


def test_want_of_memory_in_a_child_of_the_job_is_class_oom(cell: Cell) -> None:
    assert cell.run("memory", processes=2).failure == "oom"


def test_a_fork_bomb_meets_the_limit_of_processes(cell: Cell) -> None:
    result = cell.run("forks", memory_bytes=8 * 2**30)
    assert (result.failure, "Resource temporarily unavailable" in (result.reason or "")) == ("variant_error", True)


def test_there_is_no_network(cell: Cell) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address, port = server.getsockname()
        result = cell.run("network", address=address, port=port)
        assert result.failure == "variant_error"
        assert "Connection refused" in (result.reason or "")
        outside = cell.run("network", address="192.0.2.1", port=80)
        assert "Network is unreachable" in (outside.reason or "")


@pytest.mark.parametrize("place", ["root", "code", "data", "inputs"])
def test_nothing_but_the_jobs_folder_can_be_written(cell: Cell, place: str) -> None:
    result = cell.run(place)
    assert (result.failure, "Read-only file system" in (result.reason or "")) == ("variant_error", True)


def test_the_machines_own_files_are_out_of_sight(cell: Cell, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("geheim")
    result = cell.run("outside", secret=secret)
    assert "No such file" in (result.reason or "")
    words = {line.split(":")[1] for line in Path("/etc/shadow").read_text().splitlines()} - {"*", "!", "!*", ""}
    told = str(cell.run("shadow"))
    assert [word for word in words if word in told] == []


def test_there_are_no_rights_over_the_machine(cell: Cell) -> None:
    result = cell.run("rights")
    assert (result.failure, "PermissionError: [Errno 1]" in (result.reason or "")) == ("variant_error", True)


def test_a_full_disk_is_class_disk(cell: Cell) -> None:
    result = cell.run("tmp", memory_bytes=8 * 2**30)
    assert (result.failure, "No space left on device" in (result.reason or "")) == ("disk", True)


def test_a_log_without_end_is_cut_off(cell: Cell) -> None:
    result = cell.run("log")
    assert (result.failure, result.reason) == ("error", "The job's log grew past 256 MB, and the job was stopped.")
    assert sum(path.stat().st_size for path in cell.root.rglob("log.txt")) < 2**30


def test_a_variant_file_is_looked_at_in_a_container_too(tmp_path: Path, images: Path) -> None:
    (tmp_path / "sly.py").write_text(f"{variant('root')}\n\nPath({str(tmp_path / 'harm')!r}).write_text('x')\n")
    words = ("plan", "nano", "--select", "graph", "--variant-file", "sly.py", "--runtime", "docker")
    assert "sly" in Command(tmp_path, tmp_path / "cache")(*words).stdout
    assert not (tmp_path / "harm").exists(), "its /tmp was another one"


def test_links_that_a_job_leaves_lead_nowhere(cell: Cell, tmp_path: Path) -> None:
    secret, victim = tmp_path / "secret", tmp_path / "victim"
    secret.write_text("geheim\n")
    victim.write_text("mine")
    result = cell.run("links", secret=secret, victim=victim)
    assert (result.status, result.exit_code) == ("failed", 3)
    assert "geheim" not in str(result)
    assert victim.read_text() == "mine"
    assert [path for path in (tmp_path / "runs").rglob("*") if path.is_symlink() or path.is_fifo()] == []


def test_nothing_of_the_suites_environment_reaches_the_job(cell: Cell, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MLFLOW_TRACKING_PASSWORD", "AWS_SECRET_ACCESS_KEY", "MY_TOKEN"):
        monkeypatch.setenv(name, "geheim")
    told = str(cell.run("environment"))
    assert "PYTHONHASHSEED" in told
    assert "geheim" not in told


def test_the_jobs_files_belong_to_who_runs_the_suite(cell: Cell) -> None:
    cell.run("root")
    owners = {(path.stat().st_uid, path.stat().st_gid) for path in (cell.root / "runs").rglob("*")}
    assert owners == {(os.getuid(), os.getgid())}
