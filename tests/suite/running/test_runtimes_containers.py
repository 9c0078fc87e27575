"""The command of every container runtime, word for word, and what they say when something is missing."""

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from jobs.contract import AttemptFolder, JobFolder, Launch
from suite import images
from suite.errors import UsageError
from suite.images import Image
from suite.running.runtimes import links, registry
from suite.running.runtimes.container import mount, name
from suite.running.runtimes.process import Process
from suite.running.runtimes.runtime import Ending
from tests.suite.fake_runtime import spec

GOLDEN = Path(__file__).parents[2] / "golden" / "runtimes"
SPEC = spec("ok", task="graph", threads=2)
FOLDER = JobFolder(Path("/srv/runs") / SPEC.id)
DIGEST = f"sha256:{'5' * 64}"
LAUNCHES = {
    "one": Launch(attempt=1, environment="graph"),
    "gang": Launch(attempt=2, environment="graph", processes=2, devices=[0, 2], memory_bytes=2**33, data_root="/"),
    "nodes": Launch(attempt=1, environment="graph", nodes=2, processes=4, rendezvous="127.0.0.1:29500"),
}


@pytest.fixture
def built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in which every image has been built."""
    image = Image(reference="unsmooth-graph", digest=DIGEST, base="debian", code="0", git=None, built="2026-11-26")
    for engine in images.ENGINES:
        images.save(engine, "graph", image, tmp_path)
    for suffix in (".sif", ".sqsh"):
        (tmp_path / f"graph{suffix}").write_bytes(b"")
    monkeypatch.setenv("UNSMOOTH_IMAGES", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("kind", LAUNCHES)
@pytest.mark.parametrize("runtime", ["docker", "podman", "apptainer", "pyxis"])
def test_the_command_is_the_golden_one(built: Path, monkeypatch: pytest.MonkeyPatch, runtime: str, kind: str) -> None:
    monkeypatch.setattr(os, "getuid", lambda: 1000)
    monkeypatch.setattr(os, "getgid", lambda: 1000)
    monkeypatch.setenv("SLURMD_NODENAME", "node7")
    found = registry.find(runtime)
    launch = found.adapt(LAUNCHES[kind])
    argv = found.argv(FOLDER, SPEC, launch, node=launch.nodes - 1)
    told = "\n".join(argv).replace(str(built), "IMAGES") + "\n"
    assert told == (GOLDEN / f"{runtime}-{kind}.txt").read_text()


@pytest.mark.parametrize("runtime", ["docker", "podman", "apptainer"])
def test_a_job_on_one_node_has_no_network_and_its_launch_says_so(built: Path, runtime: str) -> None:
    found = registry.find(runtime)
    assert (found.adapt(LAUNCHES["one"]).network, found.adapt(LAUNCHES["nodes"]).network) == ("none", "host")


def test_the_launch_names_the_data_as_the_job_sees_them_and_as_the_machine_does(built: Path) -> None:
    launch = registry.find("docker").adapt(Launch(attempt=1, environment="graph", data_root="/srv/data"))
    assert (launch.data_root, launch.data_source, launch.image) == ("/data", "/srv/data", DIGEST)


def test_no_engine_socket_and_nothing_of_the_machine_but_job_and_data_is_mounted(built: Path) -> None:
    found = registry.find("docker")
    argv = found.argv(FOLDER, SPEC, found.adapt(LAUNCHES["gang"]))
    mounts = [argv[index + 1] for index, word in enumerate(argv) if word == "--mount"]
    assert mounts == [f"type=bind,source={FOLDER.root},target=/job", "type=bind,source=/,target=/data,readonly"]
    assert "--privileged" not in argv


def test_what_was_put_into_inputs_is_read_only(built: Path, tmp_path: Path) -> None:
    folder = JobFolder(tmp_path / SPEC.id)
    folder.inputs.mkdir(parents=True)
    found = registry.find("docker")
    argv = found.argv(folder, SPEC, found.adapt(LAUNCHES["one"]))
    assert f"type=bind,source={folder.inputs},target=/job/inputs,readonly" in argv


def test_a_folder_with_a_comma_is_one_field_of_the_mount() -> None:
    assert mount(Path("/a,b"), Path("/job")) == 'type=bind,"source=/a,b",target=/job'


def test_containers_are_named_after_the_folder_and_not_after_the_attempt() -> None:
    assert name(Path("/a/x"), SPEC, 0) != name(Path("/b/x"), SPEC, 0) != name(Path("/b/x"), SPEC, 1)


def test_an_image_that_was_never_built_is_named_with_the_command_that_builds_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UNSMOOTH_IMAGES", str(tmp_path))
    assert registry.find("docker").lacks("graph") == (
        "The image graph has not been built. Build it with `unsmooth images build graph`."
    )
    assert "`unsmooth images build graph --engine podman`" in str(registry.find("podman").lacks("graph"))
    assert registry.find("apptainer").lacks("graph") == (
        f"There is no image {tmp_path}/graph.sif. Where docker is, build it with `unsmooth images build graph`,"
        f" then `apptainer build {tmp_path}/graph.sif docker-daemon:unsmooth-graph:latest`."
    )
    assert "enroot import" in str(registry.find("pyxis").lacks("graph"))


def test_without_an_engine_its_absence_is_said(built: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(built))
    assert registry.find("docker").lacks("graph") == (
        "There is no program docker here. Install it, or choose another --runtime."
    )


ENGINE = """#!{python}
import json, sys
verb = sys.argv[1:3]
if verb[0] == "run":
    print("docker: Error response from daemon: all is lost.")
    sys.exit(125)
if "inspect" in verb:
    print(json.dumps({state}))
"""


@pytest.fixture
def ended(tmp_path: Path, built: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Ending]:
    """How an attempt ended whose engine says this of its container."""

    def ask(state: str) -> Ending:
        program = tmp_path / "bin" / "docker"
        program.parent.mkdir(exist_ok=True)
        program.write_text(ENGINE.replace("{python}", sys.executable).replace("{state}", state))
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
        found, folder = registry.find("docker"), JobFolder(tmp_path / SPEC.id)
        folder.attempt(1).root.mkdir(parents=True, exist_ok=True)
        launch = found.adapt(LAUNCHES["one"])
        process = Process.start(
            found.argv(folder, SPEC, launch),
            environment=found.environment(SPEC, launch),
            attempt=folder.attempt(1),
            cwd=folder.root,
        )
        process.finish()
        return found.ended(AttemptFolder(folder.attempt(1).root), process)

    return ask


def test_a_container_that_was_made_but_never_started_is_said_in_the_engines_words(
    ended: Callable[[str], Ending],
) -> None:
    state = "{'Status': 'created', 'OOMKilled': False, 'Error': ''}"
    expected = "docker could not start the container: docker: Error response from daemon: all is lost."
    assert ended(state) == Ending(unstarted=expected)


def test_a_container_that_runs_on_without_its_client_counts_as_killed(ended: Callable[[str], Ending]) -> None:
    assert ended("{'Status': 'running', 'OOMKilled': False, 'Error': ''}") == Ending(killed=True)


def test_links_pipes_and_their_like_are_cut_and_files_stay(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "file").write_text("x")
    (tmp_path / "a" / "link").symlink_to("/etc/hostname")
    (tmp_path / "folder").symlink_to("/etc")
    os.mkfifo(tmp_path / "a" / "pipe")
    assert sorted(path.name for path in links.cut(tmp_path)) == ["folder", "link", "pipe"]
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["a", "file"]
    assert Path("/etc/hostname").exists()


def test_an_unknown_runtime_is_named_with_what_there_is() -> None:
    with pytest.raises(UsageError, match=r"Unknown runtime 'dokcer'. Did you mean 'docker'\? Available: apptainer"):
        registry.find("dokcer")
