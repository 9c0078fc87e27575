"""A SLURM cluster on this machine: munged, slurmctld and a slurmd for each virtual node, in a folder of their own."""

import os
import secrets
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "squeue", "scontrol")
"""What must be installed."""

_CONF = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={root}/munge.socket,cred_expire=5
CredType=cred/munge
StateSaveLocation={root}/state
SlurmdSpoolDir={root}/spool/%n
SlurmctldPidFile={root}/slurmctld.pid
SlurmdPidFile={root}/%n.pid
SlurmctldLogFile={root}/slurmctld.log
SlurmdLogFile={root}/%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
ReturnToService=2
SlurmdParameters=config_overrides
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=2,bf_interval=3,sched_min_interval=0,batch_sched_delay=0
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
JobRequeue=1
KillWait=5
SlurmdTimeout=10
MessageTimeout=10
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/none
NodeName=n[1-{nodes}] NodeHostname={host} NodeAddr=127.0.0.1 Port=[{first}-{last}] CPUs=4 RealMemory=6000
PartitionName=low Nodes=n[1-{nodes}] Default=YES MaxTime=INFINITE State=UP PriorityTier=1 PreemptMode=REQUEUE
PartitionName=high Nodes=n[1-{nodes}] MaxTime=INFINITE State=UP PriorityTier=10 PreemptMode=OFF
"""
# cred_expire: a requeued job waits as long, 120 s by default


class Slurm:
    """A running cluster; its commands find it by SLURM_CONF."""

    def __init__(self, root: Path, *, nodes: int, port: int) -> None:
        self.root, self.nodes = root, nodes
        self.conf = root / "slurm.conf"
        for name in ("state", "spool"):
            (root / name).mkdir(parents=True)
        host = socket.gethostname().split(".")[0]
        self.conf.write_text(
            _CONF.format(host=host, root=root, port=port, nodes=nodes, first=port + 1, last=port + nodes)
        )
        (root / "cgroup.conf").write_text("CgroupPlugin=cgroup/v1\n")

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "SLURM_CONF": str(self.conf)}

    def start(self) -> None:
        """Up when every node is idle."""
        key = self.root / "munge.key"
        key.touch(mode=0o600)
        key.write_bytes(secrets.token_bytes(128))
        sockets = ("--socket", self.root / "munge.socket", "--pid-file", self.root / "munged.pid")
        files = ("--key-file", key, "--log-file", self.root / "munged.log", "--seed-file", self.root / "munge.seed")
        self("munged", "--force", "--num-threads=2", *map(str, (*sockets, *files)))
        self("slurmctld", "-c", "-f", str(self.conf))
        for node in range(1, self.nodes + 1):
            self.start_node(node)
        self.until(lambda: len(set(self("sinfo", "-h", "-N", "-t", "idle", "-o", "%N").split())) == self.nodes)

    def start_node(self, node: int) -> None:
        self("slurmd", "-N", f"n{node}", "-f", str(self.conf))

    def kill_node(self, node: int) -> None:
        """The node's daemon and every process that it started."""
        daemon = self._pid(f"n{node}")
        for pid in [daemon, *_steps(f"n{node}", self.root)]:
            for child in [*_descendants(pid), pid]:
                _kill(child)

    def stop(self) -> None:
        """Every daemon, and whatever jobs have left."""
        for node in range(1, self.nodes + 1):
            if (self.root / f"n{node}.pid").exists():
                self.kill_node(node)
        for name in ("slurmctld", "munged"):
            _kill(self._pid(name))

    def __call__(self, *command: str) -> str:
        """What a command of SLURM prints."""
        done = subprocess.run(
            command, env=self.environment, capture_output=True, text=True, timeout=60, check=False, cwd=self.root
        )
        assert done.returncode == 0, f"{command}: {done.stderr}"
        return done.stdout

    def state(self, job: str) -> str:
        """What SLURM calls the job's state."""
        return self("squeue", "-h", "--states=all", "-j", job, "-o", "%T").split("\n")[0]

    def until(self, holds: Callable[[], bool], *, limit_s: float = 60.0) -> None:
        """Wait until something holds."""
        deadline = time.monotonic() + limit_s
        while not holds():
            assert time.monotonic() < deadline, f"it did not come about within {limit_s:g} s"
            time.sleep(0.3)

    def _pid(self, name: str) -> int:
        return int((self.root / f"{name}.pid").read_text())


@contextmanager
def running(root: Path, *, nodes: int = 3, port: int = 31000) -> Iterator[Slurm]:
    """A cluster while the block runs."""
    cluster = Slurm(root, nodes=nodes, port=port)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()


def _steps(node: str, root: Path) -> list[int]:
    """The processes that hold a node's job steps: they leave the daemon that started them."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            name = (entry / "comm").read_text().strip()
            environment = (entry / "environ").read_bytes()
        except OSError:
            continue
        mine = f"SLURMD_NODENAME={node}\0".encode() in environment and str(root).encode() in environment
        if mine or (name.startswith("slurmstepd") and f"{node}.".encode() in (entry / "cmdline").read_bytes()):
            found.append(int(entry.name))
    return found


def _descendants(pid: int) -> list[int]:
    try:
        children = [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []
    return [found for child in children for found in [*_descendants(child), child]]


def _kill(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
