"""Real jobs in real containers: a killed driver, gangs, an engine that crashes, an image that is gone."""

import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from jobs.contract import JobFolder, JobSpec, Launch, Result, read_json
from suite.running import prepare
from suite.running.order import Order
from suite.running.supervise import supervise
from tests.suite.command import Command

if TYPE_CHECKING:  # pytest imports the plug-in itself
    from tests.cluster.engine import Daemon

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.cluster
pytest_plugins = ("tests.cluster.engine",)


SUPERVISOR = """
import sys
from pathlib import Path
from jobs.contract import JobSpec
from tests.cluster.test_containers import run
sys.exit(run(Path(sys.argv[1]), JobSpec.load(Path(sys.argv[1]) / "spec.json"))[1].status != "ok")
"""
"""A supervisor in a process of its own: of the job whose spec lies in the folder given."""


def until(holds: Callable[[], Any], *, timeout_s: float = 60.0) -> Any:
    """What `holds` gives, once that is something."""
    deadline = time.monotonic() + timeout_s
    while not (found := holds()):
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.05)
    return found


def order(spec: JobSpec, **fields: Any) -> Order:
    return Order(spec=spec, **({"runtime": "docker", "poll_s": 0.1, "grace_s": 20.0, "pause_scale": 0.01} | fields))


def run(runs: Path, spec: JobSpec, **fields: Any) -> tuple[JobFolder, Result]:
    folder = JobFolder(runs / spec.id)
    return folder, supervise(folder, order(spec, **fields))


def in_background(runs: Path, spec: JobSpec, **fields: Any) -> tuple[JobFolder, threading.Thread, list[Result]]:
    results: list[Result] = []
    thread = threading.Thread(target=lambda: results.append(run(runs, spec, **fields)[1]))
    thread.start()
    return JobFolder(runs / spec.id), thread, results


def steps(folder: JobFolder) -> bool:
    """Whether the newest attempt has completed a step."""
    events = folder.attempt(max(folder.attempts(), default=1)).events
    return events.exists() and '"step"' in events.read_text()


@pytest.fixture(scope="module")
def runs(images: Path, engine: "Daemon", tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The nano plan's folder, after its driver was killed while its first container ran, and started again."""
    folder = tmp_path_factory.mktemp("nano")
    command = Command(folder, tmp_path_factory.mktemp("cache"))
    words = ["run", "nano", "--runs", str(folder / "runs"), "--runtime", "docker", "--memory", "4g"]
    driver = subprocess.Popen(
        [sys.executable, "-m", "suite.cli", *words],
        cwd=folder,
        env={**command.environment, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    until(engine.containers)
    driver.send_signal(signal.SIGKILL)
    driver.wait()
    assert engine.containers() != []
    done = command(*words, "--json")
    assert done.returncode == 0, done.stderr
    assert {result["status"] for result in json.loads(done.stdout)["results"]} == {"ok"}
    return folder / "runs"


def test_the_nano_plan_completes_in_containers_though_its_driver_was_killed(runs: Path, engine: "Daemon") -> None:
    results = [Result.load(path) for path in runs.glob("*/result.json")]
    assert len(results) == 8
    assert max(result.attempt for result in results) > 1, "a job was begun before the driver was killed"
    assert engine.containers() == []


def test_numbers_are_those_of_a_run_that_nobody_disturbed(runs: Path, tmp_path: Path) -> None:
    for path in runs.glob("*/result.json"):
        spec = JobSpec.load(path.with_name("spec.json"))
        if spec.task in ("graph", "language"):
            _, undisturbed = run(tmp_path, spec)
            assert undisturbed.numbers == Result.load(path).numbers


def test_the_row_says_image_and_network(runs: Path) -> None:
    path = next(iter(runs.glob("*/result.json")))
    attempt = JobFolder(path.parent).attempt(Result.load(path).attempt)
    launch, stated = Launch.load(attempt.launch), read_json(attempt.provenance)
    assert (launch.runtime, launch.network) == ("docker", "none")
    assert (stated["image"], stated["network"]) == (launch.image, "none")
    assert str(launch.image).startswith("sha256:")


def test_a_gang_in_a_container_stops_on_request_with_a_checkpoint(
    tmp_path: Path, images: Path, nano: dict[str, JobSpec]
) -> None:
    wanted, stop = dataclasses.replace(nano["language"], steps=100_000), tmp_path / "stop"
    folder, thread, results = in_background(tmp_path, wanted, processes=2, stop_file=str(stop))
    until(lambda: steps(folder))
    stop.write_text("drain")
    thread.join(timeout=60)
    assert results[0].failure == "preempted"
    assert list(folder.checkpoints.glob("step-*.pt")) != []


def test_a_container_killed_from_outside_is_class_killed_and_tried_again(
    tmp_path: Path, images: Path, engine: "Daemon", graph: JobSpec
) -> None:
    folder, thread, results = in_background(tmp_path, dataclasses.replace(graph, steps=2000))
    until(lambda: steps(folder))
    engine("kill", engine.containers()[0].split()[0])
    thread.join(timeout=60)
    assert (results[0].status, results[0].attempt) == ("ok", 2)
    assert Result.load(prepare.ending_path(folder, 1)).failure == "killed"


def test_a_job_whose_client_was_killed_is_ended_and_tried_again(
    tmp_path: Path, images: Path, engine: "Daemon", graph: JobSpec
) -> None:
    folder, thread, results = in_background(tmp_path, dataclasses.replace(graph, steps=2000))
    until(lambda: steps(folder))
    os.kill(read_json(folder.attempt(1).root / "process.json")["pid"], signal.SIGKILL)
    thread.join(timeout=60)
    assert (results[0].status, results[0].attempt) == ("ok", 2)
    assert engine.containers() == []


def test_a_job_outlives_a_crash_of_the_engine(tmp_path: Path, images: Path, engine: "Daemon", graph: JobSpec) -> None:
    folder, thread, results = in_background(tmp_path, dataclasses.replace(graph, steps=2000))
    until(lambda: steps(folder))
    engine.crash()
    time.sleep(1.0)
    engine.start()
    thread.join(timeout=120)
    assert (results[0].status, results[0].attempt) == ("ok", 2)
    assert Result.load(prepare.ending_path(folder, 1)).failure == "killed"
    assert engine.containers() == []


def test_what_a_killed_supervisor_leaves_is_ended_by_the_next_one(
    tmp_path: Path, images: Path, engine: "Daemon", graph: JobSpec
) -> None:
    wanted = dataclasses.replace(graph, steps=2000)
    wanted.save(tmp_path / "spec.json")
    first = subprocess.Popen([sys.executable, "-c", SUPERVISOR, str(tmp_path)], cwd=ROOT)
    until(lambda: steps(JobFolder(tmp_path / wanted.id)))
    first.kill()
    first.wait()
    assert [name for name in engine.containers() if " Up " in name] != [], "a container outlives its client"
    _, result = run(tmp_path, wanted)
    assert (result.status, result.attempt) == ("ok", 2)
    assert engine.containers() == []


def test_an_image_that_is_gone_is_class_image_and_named_with_the_command_that_builds_it(
    tmp_path: Path, images: Path, engine: "Daemon", graph: JobSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = (images / "images.lock").read_text()
    digest = json.loads(lock)["images"]["docker"]["graph"]["digest"]
    (tmp_path / "images.lock").write_text(lock.replace(digest, f"sha256:{'0' * 64}"))
    monkeypatch.setenv("UNSMOOTH_IMAGES", str(tmp_path))
    _, result = run(tmp_path, graph, retries=0)
    assert result.failure == "image"
    assert "docker does not have the image graph" in (result.reason or "")
    assert "`unsmooth images build graph`" in (result.reason or "")


def test_files_belong_to_the_user_of_the_suite_also_if_that_is_not_root(images: Path, graph: JobSpec) -> None:
    user, folder = 1234, Path(tempfile.mkdtemp(prefix="unsmooth-user-"))
    graph.save(folder / "spec.json")
    shutil.copy(images / "images.lock", folder)
    for path in (folder, *folder.iterdir()):
        os.chown(path, user, user)
    pythons = (sys.executable, f"/usr/bin/python3.{sys.version_info.minor}")
    python = next((path for path in pythons if _reachable(Path(path))), None)
    if python is None:
        pytest.skip("No Python of this version can be reached by another user.")
    environment = {**os.environ, "PYTHONPATH": ":".join(map(str, [ROOT, *sys.path])), "UNSMOOTH_IMAGES": str(folder)}
    command = [python, "-c", SUPERVISOR, str(folder)]
    done = subprocess.run(command, user=user, group=user, extra_groups=[], cwd=ROOT, env=environment, check=False)
    owners = {(path.stat().st_uid, path.stat().st_gid) for path in folder.rglob("*")}
    shutil.rmtree(folder)
    assert done.returncode == 0
    assert owners == {(user, user)}


def _reachable(path: Path) -> bool:
    real = path.resolve()
    return real.is_file() and all(folder.stat().st_mode & 0o001 for folder in (real, *real.parents))
