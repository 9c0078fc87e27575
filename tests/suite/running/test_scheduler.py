"""Real Ray, real job processes, real kills."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from jobs.contract import JobFolder, Result
from suite.errors import UsageError
from suite.planning.plan import Job
from suite.running import lock, scheduler
from suite.running.daemons import Daemons
from suite.running.driver import Options
from suite.running.placement import Room, Wish
from suite.running.runtimes.local import SOURCE_ROOT
from tests.suite.fake_runtime import NAME, job
from tests.suite.fake_watcher import Remembers

pytestmark = pytest.mark.slow

DRIVER = """
import sys
from pathlib import Path
from suite.running import scheduler
from tests.suite.running.test_scheduler import options, six_jobs
from suite.running.progress import Lines
for result in scheduler.run(six_jobs(), options(Path(sys.argv[1])), Lines(sys.stderr)):
    print(result.id, result.status, result.failure)
"""


@pytest.fixture(autouse=True)
def workers_find_the_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(SOURCE_ROOT))


def options(runs: Path) -> Options:
    return Options(runs=runs, runtime=NAME, cpus=2, grace_s=5.0)


def six_jobs() -> list[Job]:
    """Two quick ones, two whose first two attempts are long, two that need one of those."""
    quick, long = ([job(*behaves, seed=seed) for seed in range(2)] for behaves in (["ok"], ["long", "long", "ok"]))
    return [*quick, *long, *(job("ok", seed=seed, upstream=long[seed].spec) for seed in range(2))]


def published(runs: Path) -> dict[str, Result]:
    return {path.parent.name: Result.load(path) for path in runs.glob("*/result.json")}


def in_another_process(runs: Path) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", DRIVER, str(runs)]
    return subprocess.Popen(command, cwd=SOURCE_ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def until_one_trains(runs: Path, *, attempt: int) -> None:
    """Wait until a long job has completed three steps."""
    for _ in range(1000):
        if any('"step": 3' in path.read_text() for path in runs.glob(f"*/attempts/{attempt}/events.jsonl")):
            return
        time.sleep(0.05)
    raise AssertionError("no job began to train")


def child_of(parent: int, name: str) -> int:
    found = subprocess.run(["pgrep", "-P", str(parent), "-x", name], capture_output=True, text=True, check=True)
    return int(found.stdout.split()[0])


def test_every_kind_of_end_is_a_result_and_nothing_that_ended_runs_twice(tmp_path: Path) -> None:
    good, bad, torn = job("slow"), job("nan"), job("ok", seed=5)
    jobs = [good, bad, job("ok", upstream=good.spec), job("ok", upstream=bad.spec), job("skipped"), job("killed", "ok")]
    jobs.append(Job(spec=torn.spec, id=torn.id, entry="fake", broken="Line 3 is wrong."))
    watcher = Remembers()
    results = scheduler.run(jobs, options(tmp_path), watcher)
    assert [result.status for result in results] == ["ok", "failed", "ok", "blocked", "skipped", "ok", "failed"]
    assert [result.failure for result in results] == [None, "nan", None, None, None, None, "variant_error"]
    assert published(tmp_path) == {result.id: result for result in results}
    assert (good.id, "running") in watcher.seen
    again = scheduler.run(jobs, options(tmp_path), Remembers())
    assert again == results
    assert JobFolder(tmp_path / good.id).attempts() == [1]


def test_killing_the_raylet_and_then_the_driver_loses_nothing_and_runs_nothing_twice(tmp_path: Path) -> None:
    driver = in_another_process(tmp_path)
    until_one_trains(tmp_path, attempt=1)
    os.kill(child_of(driver.pid, "raylet"), signal.SIGKILL)
    until_one_trains(tmp_path, attempt=2)
    driver.kill()
    output, log = driver.communicate()
    assert "Ray was lost; it is started again" in log
    assert output == ""
    stood = published(tmp_path)
    results = scheduler.run(six_jobs(), options(tmp_path), Remembers())
    assert [result.status for result in results] == ["ok"] * 6
    assert {result.id: result for result in results} | stood == published(tmp_path)
    # Three; one more was seen on a loaded machine, which may be a job handed to the raylet before its death is noticed.
    assert all(result.attempt in (3, 4) for result in results[2:4])


def test_a_termination_request_drains_and_publishes_nothing_unfinished(tmp_path: Path) -> None:
    driver = in_another_process(tmp_path)
    until_one_trains(tmp_path, attempt=1)
    with pytest.raises(UsageError, match=f"A run is going on in .* \\(process {driver.pid} on "):
        scheduler.run([], options(tmp_path), Remembers())
    driver.terminate()
    output, log = driver.communicate(timeout=60)
    assert "Jobs write a checkpoint and stop" in log
    assert [line.split()[2] for line in output.splitlines()] == ["preempted"] * 6
    assert published(tmp_path) == {}


class OneNode(scheduler._Ray):
    """Ray with one node of four cores and two GPUs."""

    def _up(self) -> dict[str, Room]:
        return {"n": Room(cpus=4, gpus=2)}


def one_node() -> OneNode:
    cluster = OneNode(Daemons())
    cluster.look_again()
    return cluster


def test_a_job_that_no_node_can_hold_is_a_usage_error() -> None:
    assert one_node().has_room(Wish(cpus=4, gpus=2))
    with pytest.raises(UsageError, match=r"A job asks for 3 GPUs on one node; this Ray has a node with 2 GPUs\."):
        one_node().has_room(Wish(cpus=1, gpus=3))
    with pytest.raises(UsageError, match=r"A job asks for 1 GPUs on each of 2 nodes; this Ray"):
        one_node().has_room(Wish(nodes=2, cpus=1, gpus=1))


def test_a_job_with_more_threads_than_any_node_has_cores_gets_a_node_for_itself() -> None:
    assert one_node().has_room(Wish(cpus=64))


def test_a_runs_folder_that_cannot_be_written_is_a_usage_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="file/runs cannot be written: Not a directory"):
        scheduler.run([], options(tmp_path / "file" / "runs"), Remembers())


def test_an_unknown_runtime_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="Unknown runtime 'dokcer'"):
        scheduler.run([], Options(runs=tmp_path, runtime="dokcer"), Remembers())


def test_the_lock_is_seen_while_it_is_held(tmp_path: Path) -> None:
    assert not lock.held(tmp_path)
    with lock.hold(tmp_path):
        assert lock.held(tmp_path)
    assert not lock.held(tmp_path)
