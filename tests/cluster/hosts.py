"""Hosts on this machine: each with its own network, processes, mounts and name, on one virtual switch."""

import contextlib
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

NET = "10.79.0"
PROGRAMS = ("ip", "unshare", "nsenter", "mount")
RAY_PORT = 6400

_INIT = """
hostname {name}
mount -t tmpfs -o size=600m,mode=1777 shm /dev/shm
mkdir -p /tmp/ray && mount -t tmpfs -o size=300m,mode=1777 ray /tmp/ray
mount --bind {hosts} /etc/hosts
exec sleep infinity
"""


class Hosts:
    """`count` hosts h0, h1, ...; files are shared, as on a cluster."""

    def __init__(self, folder: Path, count: int) -> None:
        self.folder, self.names = folder, [f"h{number}" for number in range(count)]
        self._prefix = f"u{os.getpid()}"
        self._init: dict[str, subprocess.Popen[bytes]] = {}

    def address(self, name: str) -> str:
        return f"{NET}.{self.names.index(name) + 1}"

    def up(self) -> None:
        """The switch, and every host on it."""
        lines = ["127.0.0.1 localhost", *(f"{self.address(name)} {name}" for name in self.names)]
        (self.folder / "hosts").write_text("\n".join(lines) + "\n")
        self._ip(f"netns add {self._prefix}sw")
        self._ip(f"-n {self._prefix}sw link add br0 type bridge")
        self._ip(f"-n {self._prefix}sw link set br0 up")
        for name in self.names:
            self._plug_in(name)
            self._boot(name)

    def down(self) -> None:
        """Everything in it ends with its host."""
        for name in self.names:
            self.kill(name)
        for name in [*self.names, "sw"]:
            with contextlib.suppress(AssertionError):
                self._ip(f"netns del {self._prefix}{name}")

    def kill(self, name: str) -> None:
        """Power off: the first process of the host, and with it every other one."""
        if (init := self._init.pop(name, None)) is not None:
            for child in Path(f"/proc/{init.pid}/task/{init.pid}/children").read_text().split():
                os.kill(int(child), signal.SIGKILL)
            init.wait()

    def reboot(self, name: str) -> None:
        self.kill(name)
        self._boot(name)

    def cut_off(self, name: str) -> None:
        """Pull the plug at the switch; the host itself goes on."""
        self._ip(f"-n {self._prefix}sw link set {name} down")

    def connect(self, name: str) -> None:
        self._ip(f"-n {self._prefix}sw link set {name} up")

    def start(
        self, name: str, *command: str, log: Path, environment: Mapping[str, str] | None = None
    ) -> "subprocess.Popen[bytes]":
        """A command on a host, in the background."""
        with log.open("ab") as output:
            return subprocess.Popen(
                self.inside(name, *command),
                stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, start_new_session=True,
                env={**os.environ, **(environment or {})}, cwd=self.folder,
            )  # fmt: skip

    def _plug_in(self, name: str) -> None:
        self._ip(f"netns add {self._prefix}{name}")
        self._ip(f"link add {name} netns {self._prefix}sw type veth peer name eth0 netns {self._prefix}{name}")
        self._ip(f"-n {self._prefix}sw link set {name} master br0 up")
        self._ip(f"-n {self._prefix}{name} link set lo up")
        self._ip(f"-n {self._prefix}{name} addr add {self.address(name)}/24 dev eth0")
        self._ip(f"-n {self._prefix}{name} link set eth0 up")

    def _boot(self, name: str) -> None:
        script = _INIT.format(name=name, hosts=shlex.quote(str(self.folder / "hosts")))
        spaces = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--uts", "--mount-proc"]
        net = ["nsenter", f"--net=/run/netns/{self._prefix}{name}"]
        self._init[name] = subprocess.Popen([*net, *spaces, "bash", "-ec", script], stdin=subprocess.DEVNULL)
        until(lambda: self._first(name) is not None)

    def _first(self, name: str) -> int | None:
        """The process id, seen from outside, of what runs first on the host, once it is ready."""
        pid = self._init[name].pid
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            if Path(f"/proc/{child}/comm").read_text().strip() == "sleep":
                return int(child)
        return None

    def inside(self, name: str, *command: str) -> list[str]:
        """The words that run a command on a host."""
        spaces = ["-n", "-m", "-p", "-u", f"--wdns={self.folder}"]
        return ["nsenter", "-t", str(self._first(name)), *spaces, *command]

    def _ip(self, words: str) -> None:
        done = subprocess.run(["ip", *words.split()], capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"ip {words}: {done.stderr}"


class RayOnHosts:
    """Ray on some of the hosts, the head on the first."""

    ENVIRONMENT: Mapping[str, str] = {
        "RAY_AUTH_MODE": "disabled",
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_memory_monitor_refresh_ms": "0",
        "RAY_health_check_period_ms": "1000",
        "RAY_health_check_timeout_ms": "2000",
        "RAY_health_check_failure_threshold": "3",
        "RAY_health_check_initial_delay_ms": "1000",
        "OMP_NUM_THREADS": "1",
    }

    def __init__(self, hosts: Hosts, folder: Path) -> None:
        self.hosts, self.folder = hosts, folder
        self.address = f"{hosts.address('h0')}:{RAY_PORT}"

    def start(self, name: str, *, cpus: int) -> None:
        """Up when it says so."""
        place = ["--head", f"--port={RAY_PORT}", "--include-dashboard=false"]
        if name != "h0":
            place = [f"--address={self.address}"]
        log = self.folder / f"ray-{name}.log"
        log.unlink(missing_ok=True)
        words = [f"--node-ip-address={self.hosts.address(name)}", f"--num-cpus={cpus}", "--num-gpus=0", "--block"]
        words += ["--object-store-memory=100000000", "--disable-usage-stats"]
        python = [sys.executable, "-m", "ray.scripts.scripts", "start"]
        self.hosts.start(name, *python, *place, *words, log=log, environment=self.ENVIRONMENT)
        until(lambda: "Ray runtime started" in log.read_text(), limit_s=90)

    def ends(self, name: str) -> None:
        """Wait until a node has learnt, connected again, that it was given up, and has ended."""
        log = self.folder / f"ray-{name}.log"
        until(lambda: "Remaining processes will be killed" in log.read_text(), limit_s=60)


def until(holds: Callable[[], bool], *, limit_s: float = 60.0) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + limit_s
    while not holds():
        assert time.monotonic() < deadline, f"it did not come about within {limit_s:g} s"
        time.sleep(0.2)


@contextlib.contextmanager
def running(folder: Path, count: int) -> Iterator[Hosts]:
    """The hosts while the block runs."""
    hosts = Hosts(folder, count)
    try:
        hosts.up()
        yield hosts
    finally:
        hosts.down()
