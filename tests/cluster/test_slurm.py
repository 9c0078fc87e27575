"""Plans on a real SLURM with three virtual nodes: everything arrives, whatever happens to nodes, limits and queue."""

import json
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobs.contract import Result
from tests.cluster import slurm
from tests.cluster.needs import require
from tests.cluster.slurm import Slurm
from tests.suite.command import Command

pytestmark = pytest.mark.cluster

SITE = """
[slurm]
mode = "{mode}"
nodes = 3
partition = "low"
cpus_per_node = {cpus}
time = "{time}"
memory = "3000"
signal_s = {signal_s}
{more}
"""

PLAN = """
name: steady
tier: development
seeds: [0, 1]
tasks:
  - task: graph
    data: karate
    arguments: {{depth: 4}}
    steps: {steps}
variants: [softmax, neutreno]
"""


@pytest.fixture(scope="module")
def cluster() -> Iterator[Slurm]:
    """Three nodes; the folder's path is short, for sockets lie in it."""
    require(*slurm.PROGRAMS)
    root = Path(tempfile.mkdtemp(prefix="sl-"))
    root.chmod(0o755)
    with slurm.running(root) as running:
        yield running
    shutil.rmtree(root)


class Desk:
    """A folder on the login node in which somebody works."""

    def __init__(self, folder: Path, cluster: Slurm) -> None:
        self.folder, self.cluster = folder, cluster
        self.unsmooth = Command(folder, folder / "cache")
        self.unsmooth.environment["SLURM_CONF"] = str(cluster.conf)
        self.steps(10)
        self.site()

    def site(self, **fields: object) -> None:
        wanted = {"mode": "ray", "cpus": 1, "time": "10", "signal_s": 30, "more": ""} | fields
        (self.folder / "site.toml").write_text(SITE.format(**wanted))

    def steps(self, steps: int) -> None:
        (self.folder / "steady.yaml").write_text(PLAN.format(steps=steps))

    def submit(self, plan: str = "steady.yaml", *options: str) -> str:
        """Hand the plan in; the last of SLURM's job numbers."""
        done = self.unsmooth("submit", plan, "--site", "site.toml", *options)
        assert done.returncode == 0, done.stdout + done.stderr
        return str(json.loads((self.folder / "runs" / "slurm" / "submission.json").read_text())["jobs"][-1])

    def ended(self, job: str, *, limit_s: float = 240.0) -> None:
        """Wait until SLURM has no more of it in its queue."""
        live = ("PENDING", "RUNNING", "COMPLETING", "REQUEUED", "PREEMPTED", "SUSPENDED")
        self.cluster.until(lambda: self.cluster.state(job) not in live, limit_s=limit_s)

    def running_steps(self, number: int) -> None:
        """Wait until some job has done so many steps."""
        self.cluster.until(lambda: any(_steps(path) >= number for path in self.events()), limit_s=240)

    def events(self) -> list[Path]:
        return sorted((self.folder / "runs").glob("*/attempts/*/events.jsonl"))

    def numbers(self, runs: str = "runs") -> dict[str, object]:
        """By job, what must not depend on what happened."""
        results = [Result.load(path) for path in (self.folder / runs).glob("*/result.json")]
        assert {result.status for result in results} <= {"ok"}, results
        return {result.id: result.numbers for result in results}

    def log(self, job: str) -> str:
        return (self.folder / "runs" / "slurm" / f"{job}.log").read_text()

    def array_log(self) -> str:
        """What all tasks of arrays have written."""
        return "".join(path.read_text() for path in sorted((self.folder / "runs" / "slurm").glob("*_*.log")))


def _steps(events: Path) -> int:
    lines = events.read_text().splitlines()
    return max((json.loads(line).get("step", 0) for line in lines[:-1] if '"step"' in line), default=0)


@pytest.fixture
def desk(tmp_path: Path, cluster: Slurm) -> Desk:
    return Desk(tmp_path, cluster)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, cluster: Slurm) -> dict[str, object]:
    """Both plans on this machine alone."""
    desk = Desk(tmp_path_factory.mktemp("alone"), cluster)
    desk.steps(LONG)
    for plan in ("steady.yaml", "nano"):
        assert desk.unsmooth("run", plan).returncode == 0
    return desk.numbers()


SLOW = """
import time
from pathlib import Path
from jobs.api import Variant

class Slow(Variant):
    def mix(self, a, v):
        if self.training and Path({flag!r}).exists():
            time.sleep(3)
        return a(v)
"""

LONG = 1500
"""Steps that take long enough for something to happen meanwhile."""


def same(found: dict[str, object], expected: dict[str, object], *, count: int) -> None:
    assert len(found) == count
    assert found == {name: expected[name] for name in found}


def test_a_plan_runs_over_several_nodes_under_ray(desk: Desk, undisturbed: dict[str, object]) -> None:
    job = desk.submit("nano")
    second = desk.unsmooth("submit", "nano", "--site", "site.toml")
    assert second.returncode == 2
    assert f"SLURM job {job} (nano," in second.stderr
    desk.ended(job)
    same(desk.numbers(), undisturbed, count=8)
    assert "Ends with exit code 0" in desk.log(job)
    assert (desk.folder / "runs" / "leaderboard.html").exists()
    assert "has ended" in desk.unsmooth("status").stdout


def test_a_plan_runs_as_job_arrays_without_ray(desk: Desk, undisturbed: dict[str, object]) -> None:
    desk.site(mode="array", more="at_once = 3")
    job = desk.submit("nano")
    desk.ended(job)
    same(desk.numbers(), undisturbed, count=8)
    assert (desk.folder / "runs" / "leaderboard.html").exists()


def test_preempted_it_is_queued_again_and_goes_on(desk: Desk, undisturbed: dict[str, object]) -> None:
    desk.steps(LONG)
    job = desk.submit()
    desk.running_steps(50)
    urgent = desk.cluster("sbatch", "--parsable", "-p", "high", "-N3", "--exclusive", "--wrap", "sleep 3").strip()
    desk.ended(urgent)
    desk.ended(job)
    same(desk.numbers(), undisturbed, count=4)
    assert "(restart 1)" in desk.log(job)


def test_cancelled_its_jobs_keep_their_state_and_submitted_again_they_go_on(
    desk: Desk, undisturbed: dict[str, object]
) -> None:
    desk.steps(LONG)
    job = desk.submit()
    desk.running_steps(50)
    assert "running" in desk.unsmooth("status").stdout
    assert desk.unsmooth("cancel").returncode == 0
    desk.ended(job)
    assert "queued again" not in desk.log(job)
    before = len(desk.numbers())
    assert before < 4
    assert "interrupted" in desk.unsmooth("status").stdout
    desk.ended(desk.submit())
    same(desk.numbers(), undisturbed, count=4)
    assert any("resumed" in path.read_text() for path in desk.events())


def test_a_lost_node_costs_no_result(desk: Desk, undisturbed: dict[str, object]) -> None:
    desk.steps(LONG)
    job = desk.submit()
    desk.running_steps(50)
    desk.cluster.kill_node(3)
    try:
        desk.ended(job)
        same(desk.numbers(), undisturbed, count=4)
    finally:
        desk.cluster.start_node(3)
        desk.cluster.until(lambda: "n3" in desk.cluster("sinfo", "-h", "-N", "-t", "idle", "-o", "%N"))


def test_at_the_time_limit_an_array_task_is_queued_again_and_goes_on(desk: Desk, tmp_path: Path) -> None:
    """SLURM looks at time limits twice a minute, so the job has to last; its variant sleeps while there is a file."""
    slow, flag = tmp_path / "slow.py", tmp_path / "flag"
    slow.write_text(SLOW.format(flag=str(flag)))
    options = ("--variant-file", str(slow), "--select", "slow", "--seeds", "0")
    assert desk.unsmooth("run", "steady.yaml", "--runs", "alone", *options).returncode == 0
    flag.touch()
    desk.site(mode="array", time="1", signal_s=55)
    job = desk.submit("steady.yaml", *options)
    desk.cluster.until(lambda: "queued again" in desk.array_log(), limit_s=90)
    flag.unlink()
    desk.ended(job)
    assert "restart 1" in desk.array_log()
    assert len(desk.numbers()) == 1
    assert desk.numbers() == desk.numbers("alone")


def test_a_killed_driver_is_started_again_in_its_allocation(desk: Desk, undisturbed: dict[str, object]) -> None:
    desk.steps(LONG)
    job = desk.submit()
    desk.running_steps(50)
    holder = (desk.folder / "runs" / ".lock").read_text().split()
    os.kill(int(holder[1]), signal.SIGKILL)
    desk.ended(job)
    same(desk.numbers(), undisturbed, count=4)
    assert "started again" in desk.log(job)
