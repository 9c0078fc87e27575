"""A container engine of the tests' own, without systemd and without a registry, and the images built in it.

What it needs of the machine: dockerd, mmdebstrap (or a base image as a tar in UNSMOOTH_TEST_BASE) and root. With
UNSMOOTH_TEST_ENGINE=DIR the engine keeps its images there, and a second run of the tests builds nothing.
"""

import os
import resource
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobs.contract import JobSpec
from suite.commands import matrix
from tests.cluster import mirror
from tests.suite.command import Command

ROOT = Path(__file__).parents[2]
BASE = "local/debian:bookworm"
PACKAGES = "python3.11,python3.11-venv,ca-certificates"


def need(reason: str) -> None:
    """Skip; in CI, where everything is installed, fail."""
    if os.environ.get("UNSMOOTH_CLUSTER") == "1":
        pytest.fail(reason)
    pytest.skip(f"{reason} (UNSMOOTH_CLUSTER=1 makes this a failure)")


class Daemon:
    """dockerd on a private socket, its state in one folder; it can be killed and started again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.address = f"unix://{folder}/docker.sock"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        for stale in (self.folder / "docker.pid", self.folder / "exec" / "containerd" / "containerd.pid"):
            stale.unlink(missing_ok=True)  # after a kill dockerd would wait for what these name
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [
                    *("dockerd", "--host", self.address, "--pidfile", str(self.folder / "docker.pid")),
                    *("--data-root", str(self.folder / "data"), "--exec-root", str(self.folder / "exec")),
                    *(
                        "--bridge=none",
                        "--iptables=false",
                        "--ip6tables=false",
                        "--ip-forward=false",
                        "--ip-masq=false",
                    ),
                    *("--default-ulimit", f"nofile=1024:{hard}"),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + 60
        while self("version").returncode != 0:
            if time.monotonic() > deadline or self.process.poll() is not None:
                need(f"dockerd did not start: {(self.folder / 'log').read_text()[-500:]}")
            time.sleep(0.1)
        (self.folder / "docker.sock").chmod(0o666)  # for tests that are not root

    def crash(self) -> None:
        """As the machine's memory watchdog would end it; what it runs may outlive it."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(timeout=60)

    def unmount(self) -> None:
        """Take down what a crash has left mounted below its folder, the innermost first."""
        mounted = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
        for place in sorted(mounted, key=len, reverse=True):
            if Path(place).is_relative_to(self.folder):
                subprocess.run(["umount", "--lazy", place], check=False)

    def __call__(self, *words: str) -> "subprocess.CompletedProcess[str]":
        environment = {**os.environ, "DOCKER_HOST": self.address}
        return subprocess.run(["docker", *words], capture_output=True, text=True, env=environment, check=False)

    def containers(self) -> list[str]:
        return self("ps", "--all", "--format", "{{.Names}} {{.Status}}").stdout.splitlines()


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A running engine; DOCKER_HOST names it and `docker` is a client that can build."""
    if os.geteuid() != 0 or shutil.which("dockerd") is None:
        need("A container engine of the tests' own needs root and dockerd (Debian: docker.io).")
    kept = os.environ.get("UNSMOOTH_TEST_ENGINE")
    folder = Path(kept) if kept else Path(tempfile.mkdtemp(prefix="unsmooth-engine-"))  # short: it holds a socket
    folder.mkdir(exist_ok=True)
    folder.chmod(0o755)  # one test asks the engine as another user
    programs = tmp_path_factory.mktemp("bin")
    (programs / "docker").symlink_to(_client())
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
        daemon = Daemon(folder)
        patch.setenv("DOCKER_HOST", daemon.address)
        daemon.start()
        yield daemon
        daemon.stop()
    if not kept:
        daemon.unmount()
        shutil.rmtree(folder)


@pytest.fixture(scope="session")
def images(engine: Daemon, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of images.lock, after `unsmooth images build` on a base made here."""
    where = Path(os.environ.get("UNSMOOTH_TEST_ENGINE") or tmp_path_factory.mktemp("images"))
    _import_base(engine, tmp_path_factory.mktemp("base"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("UNSMOOTH_IMAGES", str(where))
        with mirror.pip_conf(where) as conf:
            ca = mirror.settings().get("cert")
            trust = ["--ca", ca] if ca else []
            command = Command(where, tmp_path_factory.mktemp("cache"), timeout_s=900)
            built = command("images", "build", "--base", BASE, "--network", "host", "--pip-conf", conf, *trust)
        assert built.returncode == 0, built.stderr[-2000:]
        yield where


@pytest.fixture(scope="session")
def nano() -> dict[str, JobSpec]:
    """The smallest real job of each task."""
    jobs = matrix.read("nano", variant_files=(), select=(), exclude=(), seeds=None).jobs
    return {job.spec.task: job.spec for job in jobs if job.spec.variant == "softmax"}


@pytest.fixture(scope="session")
def graph(nano: dict[str, JobSpec]) -> JobSpec:
    return nano["graph"]


def _client() -> str:
    """A docker client with BuildKit: an older one has it built in, a newer one as a plug-in."""
    for folder in os.environ["PATH"].split(":"):
        client = Path(folder) / "docker"
        if os.access(client, os.X_OK):
            asked = subprocess.run(
                [client, "build", "--help"],
                env={**os.environ, "DOCKER_BUILDKIT": "1"},
                capture_output=True,
                check=False,
            )
            if asked.returncode == 0:
                return str(client)
    need("No docker client on the PATH can build with BuildKit.")
    raise AssertionError


def _import_base(engine: Daemon, folder: Path) -> None:
    if engine("image", "inspect", BASE).returncode == 0:
        return
    tar = Path(os.environ.get("UNSMOOTH_TEST_BASE") or folder / "base.tar")
    if not tar.exists():
        if shutil.which("mmdebstrap") is None:
            need("A base image without a registry needs mmdebstrap, or a tar named in UNSMOOTH_TEST_BASE.")
        drop = "path-exclude=/usr/share/{doc,man,locale}/*"
        subprocess.run(
            [
                "mmdebstrap",
                "--quiet",
                "--variant=minbase",
                f"--include={PACKAGES}",
                f"--dpkgopt={drop}",
                "bookworm",
                tar,
            ],
            check=True,
        )
    assert engine("import", str(tar), BASE).returncode == 0
