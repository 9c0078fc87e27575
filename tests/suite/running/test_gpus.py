"""GPUs by what nvidia-smi says, and network interfaces by what the kernel does."""

from pathlib import Path

import pytest

from jobs.contract import JobFolder, Launch, Result
from suite.running import gpus
from suite.running.runtimes import interface
from suite.running.supervise import supervise
from tests.suite.fake_runtime import order, spec


@pytest.fixture
def driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine whose nvidia-smi writes down what it is asked, and knows one process on GPU 1."""
    asked = tmp_path / "asked"
    program = tmp_path / "bin" / "nvidia-smi"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\necho "$@" >> {asked}\necho "4711, 300 MiB"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=":")
    return asked


def test_who_holds_memory_is_asked_of_the_jobs_gpus_only(driver: Path) -> None:
    assert gpus.holders([1, 3]) == {4711: "300 MiB"}
    assert "--id=1,3" in driver.read_text()


def test_without_gpus_nobody_is_asked(driver: Path) -> None:
    assert gpus.holders([]) == {}
    assert not driver.exists()


def test_memory_that_is_held_after_a_job_is_told_in_its_log(driver: Path, tmp_path: Path) -> None:
    wanted = spec("ok")
    folder = JobFolder(tmp_path / wanted.id)
    assert supervise(folder, order(wanted), devices=[1]).status == "ok"
    assert "memory of GPUs [1] is still held by process 4711 (300 MiB)." in folder.attempt(1).log.read_text()


def test_the_interface_is_the_one_that_leads_to_the_others() -> None:
    assert interface.towards("127.0.0.1") == "lo"
    assert interface.towards("no address") is None


def test_only_a_job_of_several_nodes_is_told() -> None:
    assert interface.variables(Launch(attempt=1)) == {}
    told = interface.variables(Launch(attempt=1, nodes=2, rendezvous="127.0.0.1:1"))
    assert told == {"GLOO_SOCKET_IFNAME": "lo", "NCCL_SOCKET_IFNAME": "lo"}


class Followers:
    """A gang whose second node is gone once the attempt has begun."""

    address = "127.0.0.1"

    def __init__(self) -> None:
        self.started: list[int] = []

    def start(self, attempt: int) -> None:
        self.started.append(attempt)

    def lost(self) -> bool:
        return True

    def join(self, timeout_s: float) -> None:
        raise AssertionError("nobody waits for a node that is gone")


def test_a_job_that_loses_a_node_is_handed_back_and_publishes_nothing(tmp_path: Path) -> None:
    wanted, gang = spec("waits"), Followers()
    folder = JobFolder(tmp_path / wanted.id)
    result = supervise(folder, order(wanted, nodes=2), gang=gang)
    assert (result.failure, gang.started) == ("node_lost", [1])
    assert not folder.result.exists()
    assert Launch.load(folder.attempt(1).launch).rendezvous.startswith("127.0.0.1:")  # type: ignore[union-attr]
    assert Result.load(folder.attempt(1).root / "ending.json").failure == "node_lost"
