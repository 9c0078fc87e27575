"""Ray on a head and three hosts: a job over two of them, a host cut off meanwhile, a head that dies and comes back."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobs.contract import JobFolder, Launch, Result
from tests.cluster import hosts as net
from tests.cluster.hosts import Hosts, RayOnHosts, until
from tests.cluster.needs import require

pytestmark = pytest.mark.cluster
ROOT = Path(__file__).parents[2]

PLAN = """
name: wide
tier: development
seeds: [0]
tasks:
  - task: language
    data: pydoc
    arguments: {{dropout: 0.0}}
    steps: {steps}
variants: [softmax]
"""


class Cluster:
    """Ray on a head, where drivers run, and three hosts of one core each."""

    def __init__(self, hosts: Hosts, folder: Path) -> None:
        self.hosts, self.folder = hosts, folder
        self.ray = RayOnHosts(hosts, folder)
        self.plan(10)

    def start(self) -> None:
        for name in self.hosts.names:
            self.ray.start(name, cpus=int(name != "h0"))

    def plan(self, steps: int) -> None:
        (self.folder / "wide.yaml").write_text(PLAN.format(steps=steps))

    def run(self, *options: str, runs: str) -> "subprocess.Popen[bytes]":
        """`unsmooth run` on the head's host."""
        words = ["run", "wide.yaml", "--runs", runs, "--ray-address", self.ray.address, *options]
        environment = {**self.ray.ENVIRONMENT, "PYTHONPATH": str(ROOT), "XDG_CACHE_HOME": str(self.folder / "cache")}
        log = self.folder / f"{runs}.log"
        return self.hosts.start("h0", sys.executable, "-m", "suite.cli", *words, log=log, environment=environment)

    def alone(self, runs: str) -> None:
        """The plan in two processes of this machine, outside the hosts."""
        words = ["run", "wide.yaml", "--runs", runs, "--processes", "2"]
        environment = {
            **os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "XDG_CACHE_HOME": str(self.folder / "c"),
        }  # fmt: skip
        command = [sys.executable, "-m", "suite.cli", *words]
        subprocess.run(command, cwd=self.folder, env=environment, check=True, capture_output=True, timeout=180)

    def job(self, runs: str) -> JobFolder:
        return JobFolder(next((self.folder / runs).glob("[0-9a-f]*/spec.json")).parent)

    def trains(self, runs: str, *, attempt: int, step: int) -> bool:
        """Whether an attempt has done so many steps."""
        found = list((self.folder / runs).glob(f"*/attempts/{attempt}/events.jsonl"))
        lines = found[0].read_text().splitlines()[:-1] if found else []
        return any(json.loads(line).get("step", 0) >= step for line in lines if '"step"' in line)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    require(*net.PROGRAMS)
    folder = tmp_path_factory.mktemp("hosts")
    with net.running(folder, 4) as hosts:
        made = Cluster(hosts, folder)
        made.start()
        yield made


def numbers(folder: JobFolder) -> dict[str, object]:
    result = Result.load(folder.result)
    assert result.status == "ok", result
    return result.numbers


def test_a_job_over_two_hosts_gives_the_numbers_of_one_host(cluster: Cluster) -> None:
    assert cluster.run("--nodes", "2", runs="two").wait(180) == 0, (cluster.folder / "two.log").read_text()
    launch = Launch.load(cluster.job("two").attempt(1).launch)
    assert (launch.nodes, launch.processes) == (2, 1)
    assert (cluster.job("two").attempt(1).root / "log-1.txt").exists()
    cluster.alone("alone")
    assert numbers(cluster.job("two")) == numbers(cluster.job("alone"))


@pytest.mark.parametrize("rank", [1, 0])
def test_a_host_cut_off_costs_the_attempt_and_not_the_result(cluster: Cluster, rank: int) -> None:
    runs, alone = f"cut-{rank}", f"alone-{rank}"
    cluster.plan(400)
    driver = cluster.run("--nodes", "2", runs=runs)
    until(lambda: cluster.trains(runs, attempt=1, step=20), limit_s=120)
    lost = _host(cluster, runs, rank)
    cluster.hosts.cut_off(lost)
    try:
        until(lambda: cluster.trains(runs, attempt=2, step=21), limit_s=120)
    finally:
        cluster.hosts.connect(lost)
    cluster.ray.ends(lost)
    cluster.ray.start(lost, cpus=1)
    assert driver.wait(240) == 0, (cluster.folder / f"{runs}.log").read_text()
    job = cluster.job(runs)
    assert Result.load(job.result).attempt > 1
    assert "the job goes on from its checkpoint" in (cluster.folder / f"{runs}.log").read_text()
    if rank > 0:  # the supervisor, on the first of the job's hosts, has seen it and says so
        assert "node_lost" in (job.attempt(1).root / "ending.json").read_text()
    cluster.alone(alone)
    assert numbers(job) == numbers(cluster.job(alone))


def test_when_the_head_dies_and_comes_back_the_same_command_completes_the_plan(cluster: Cluster) -> None:
    cluster.plan(300)
    driver = cluster.run(runs="head")
    until(lambda: cluster.trains("head", attempt=1, step=20), limit_s=120)
    for name in cluster.hosts.names:  # who has lost the head ends too
        cluster.hosts.reboot(name)
    driver.wait(30)
    cluster.start()
    assert cluster.run(runs="head").wait(180) == 0, (cluster.folder / "head.log").read_text()
    assert cluster.job("head").attempts() == [1, 2]
    assert numbers(cluster.job("head"))


def _host(cluster: Cluster, runs: str, rank: int) -> str:
    """Where the job's node of that rank runs."""
    for name in cluster.hosts.names:
        running = subprocess.run(cluster.hosts.inside(name, "ps", "-ww", "-eo", "args"), capture_output=True, text=True)
        if f"--node-rank={rank}" in running.stdout and f"/{runs}/" in running.stdout:
            return name
    raise AssertionError(f"no host has node {rank} of the job")
