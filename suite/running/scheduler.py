"""Runs jobs on Ray, which gives nothing but placement: one supervising task per job, on a node with room for it.

Truth is in the runs folder. A task carries a path and a few plain values; if it is lost, with its worker, its node
or all of Ray, the job is handed out again, free of charge, and goes on from its checkpoint.
"""

import contextlib
import dataclasses
import logging
import os
import secrets
import select
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("RAY_DEDUP_LOGS_SKIP_REGEX", ".")  # read on import: Ray prints its daemons' logs to stdout
import ray

from jobs.contract import JobFolder, Result
from suite.errors import ClusterError, UsageError
from suite.planning.plan import Job
from suite.running import lock, retry
from suite.running.driver import Driver, Interrupts, Options
from suite.running.order import Order
from suite.running.runtimes import registry
from suite.running.state import Watcher
from suite.running.supervise import supervise

_RAY_ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_memory_monitor_refresh_ms": "0",  # the job is not a Ray worker: killing its supervisor helps nobody
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}
_OBJECT_STORE_BYTES = 100 * 1024**2


def run(jobs: Sequence[Job], options: Options, watcher: Watcher) -> list[Result]:
    """Run what is not finished and return every job's result, in the order of `jobs`.

    On SIGINT or SIGTERM jobs write a checkpoint and stop; on a second one they stop at once. Results of class
    `preempted` then stand for jobs that are not finished; the same command goes on with them.

    Raises:
        UsageError: the runs folder cannot be used, the runtime is unknown, or no node has room for a job.
        ClusterError: Ray cannot be started, reached or kept.
    """
    registry.find(options.runtime)
    with lock.hold(options.runs), Interrupts() as interrupts:
        return Driver(jobs, options, watcher, interrupts).run(_ray)


@ray.remote(max_retries=0)
def _supervise(folder: str, order: dict[str, Any]) -> dict[str, Any]:
    """What runs on the node."""
    devices = [int(number) for number in ray.get_gpu_ids()]
    return supervise(JobFolder(Path(folder)), Order.from_dict(order), devices=devices).to_dict()


@contextlib.contextmanager
def _ray(options: Options) -> Iterator["_Ray"]:
    """Ray on this machine, ended with the block, or a connection to an existing one."""
    if options.address is None:
        os.environ.update(_RAY_ENVIRONMENT)
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))  # else Ray leaves a token in the home folder
    started: dict[str, Any] = (
        {}
        if options.address
        else {
            "num_cpus": options.cpus or len(os.sched_getaffinity(0)),
            "include_dashboard": False,
            "object_store_memory": _OBJECT_STORE_BYTES,
        }
    )
    try:
        ray.init(address=options.address or "local", log_to_driver=False, logging_level=logging.ERROR, **started)
    except (ConnectionError, ray.exceptions.RayError, RuntimeError, TimeoutError, ValueError) as error:
        where = f"Ray at {options.address!r} cannot be reached" if options.address else "Ray cannot be started"
        raise ClusterError(f"{where}: {error}") from error
    cluster = _Ray(watched=[] if options.address else _daemons())
    try:
        yield cluster
    finally:
        cluster.close()
        ray.shutdown()


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Task:
    """What runs, and the resources it holds."""

    folder: JobFolder
    job_id: str
    cpus: int
    gpus: int


class _Ray:
    """The cluster this process is connected to."""

    def __init__(self, *, watched: Sequence[int]) -> None:
        self._daemons = [os.pidfd_open(pid) for pid in watched]
        self._tasks: dict[ray.ObjectRef[Any], _Task] = {}
        self._nodes: list[dict[str, float]] = []
        self._counted_at = 0.0

    def has_room(self, *, cpus: int, gpus: int) -> bool:
        """Whether another supervisor with these resources may be submitted now.

        Raises:
            UsageError: no node has so many GPUs.
        """
        nodes = self._resources()
        most = max((node.get("GPU", 0) for node in nodes), default=0)
        if nodes and gpus > most:
            raise UsageError(f"Each job asks for {gpus} GPUs on one node; the largest node of this Ray has {most:g}.")
        free_cpus = sum(node.get("CPU", 0) for node in nodes) - sum(task.cpus for task in self._tasks.values())
        free_gpus = sum(node.get("GPU", 0) for node in nodes) - sum(task.gpus for task in self._tasks.values())
        return self._clipped(cpus) <= free_cpus and gpus <= free_gpus

    def submit(self, folder: JobFolder, order: Order, *, cpus: int, gpus: int) -> None:
        """Start `supervise(folder, order)` on a node with room for it."""
        task = _Task(folder=folder, job_id=order.spec.id, cpus=self._clipped(cpus), gpus=gpus)
        supervisor = _supervise.options(num_cpus=task.cpus, num_gpus=gpus, name=f"{order.spec.task} {task.job_id}")
        self._tasks[supervisor.remote(str(folder.root), order.to_dict())] = task

    def wait(self, timeout_s: float) -> list[tuple[str, Result | None]]:
        """Job ids whose supervisor has ended, each with its result, or None if the supervisor was lost."""
        ended, _ = ray.wait(list(self._tasks), num_returns=1, timeout=timeout_s)
        if ended:  # take whatever else has ended meanwhile
            ended, _ = ray.wait(list(self._tasks), num_returns=len(self._tasks), timeout=0)
        return [(self._tasks[reference].job_id, self._result(reference)) for reference in ended]

    def lost(self) -> bool:
        """Whether one of the daemons that were started here has ended; an existing Ray ends its drivers itself."""
        poll = select.poll()
        for daemon in self._daemons:
            poll.register(daemon, select.POLLIN)
        return bool(poll.poll(0))

    def close(self) -> None:
        """Let go of the daemons' descriptors."""
        for daemon in self._daemons:
            os.close(daemon)

    def _result(self, reference: "ray.ObjectRef[Any]") -> Result | None:
        task = self._tasks.pop(reference)
        try:
            return Result.from_dict(ray.get(reference))
        except ray.exceptions.RayTaskError as error:  # the supervisor itself failed: nothing is published
            return Result(
                id=task.job_id,
                attempt=max(task.folder.attempts(), default=0),
                status="failed",
                failure="error",
                reason=str(error.cause),
                advice=retry.POLICIES["error"].advice,
            )
        except ray.exceptions.RayError:
            return None

    def _resources(self) -> list[dict[str, float]]:
        """Resources of each node that is up, asked once a second."""
        if not self._nodes or time.monotonic() - self._counted_at > 1:
            self._nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]  # ray's own
            self._counted_at = time.monotonic()
        return self._nodes

    def _clipped(self, cpus: int) -> int:
        """A job may have more threads than the largest node has cores; it then gets a node for itself."""
        return min(cpus, int(max((node.get("CPU", 0) for node in self._resources()), default=cpus)))


def _daemons() -> list[int]:
    """Process ids of Ray's daemons among this process's children."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # ended meanwhile
            name, _, rest = stat.read_text(encoding="utf-8").partition("(")[2].rpartition(")")
            if name in ("raylet", "gcs_server") and int(rest.split()[1]) == os.getpid():
                found.append(int(stat.parent.name))
    return found
