"""Runs jobs on Ray, which gives nothing but placement: one supervising task per job, on a node with room for it.

Truth is in the runs folder. A task carries a path and a few plain values; if it is lost, with its worker, its node
or all of Ray, the job is handed out again, free of charge, and goes on from its checkpoint.
"""

import contextlib
import dataclasses
import logging
import math
import os
import secrets
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("RAY_DEDUP_LOGS_SKIP_REGEX", ".")  # read on import: Ray prints its daemons' logs to stdout
import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from jobs.contract import JobFolder, Result
from suite.errors import ClusterError, UsageError
from suite.planning.plan import Job
from suite.running import lock, retry
from suite.running.daemons import Daemons
from suite.running.driver import Driver, Options
from suite.running.gang import follow
from suite.running.interrupts import Interrupts
from suite.running.order import Order
from suite.running.placement import Floor, Room, Wish
from suite.running.runtimes import registry
from suite.running.state import Watcher
from suite.running.supervise import supervise

_RAY_ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_memory_monitor_refresh_ms": "0",  # the job is not a Ray worker: killing its supervisor helps nobody
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}
LOOK_S = 1.0
"""Seconds between two looks at which nodes are up."""

PATIENCE_S = 60.0
"""Seconds an existing Ray is given to answer: a head that has died may be coming back."""

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
def _supervise(folder: str, order: dict[str, Any], nodes: list[str], cpus: float) -> dict[str, Any]:
    """What runs on the job's first node."""
    devices = [int(number) for number in ray.get_gpu_ids()]
    followers = _Followers(folder, order, nodes[1:], cpus, len(devices)) if len(nodes) > 1 else None
    return supervise(JobFolder(Path(folder)), Order.from_dict(order), devices=devices, gang=followers).to_dict()


@ray.remote(max_retries=0)
def _follow(folder: str, order: dict[str, Any], attempt: int, node: int) -> int:
    """What runs on each of its other nodes."""
    devices = [int(number) for number in ray.get_gpu_ids()]
    return follow(JobFolder(Path(folder)), Order.from_dict(order), attempt, node=node, devices=devices)


class _Followers:
    """The other nodes of a job, as Ray tasks of the supervisor that leads it."""

    def __init__(self, folder: str, order: dict[str, Any], nodes: Sequence[str], cpus: float, gpus: int) -> None:
        self.address: str = ray.util.get_node_ip_address()  # type: ignore[no-untyped-call]  # ray's own
        self._folder, self._order, self._nodes, self._cpus, self._gpus = folder, order, nodes, cpus, gpus
        self._tasks: list[ray.ObjectRef[Any]] = []
        self._looked_at = 0.0

    def start(self, attempt: int) -> None:
        self._tasks = [
            _follow.options(num_cpus=self._cpus, num_gpus=self._gpus, scheduling_strategy=_on(node)).remote(
                self._folder, self._order, attempt, number
            )
            for number, node in enumerate(self._nodes, start=1)
        ]

    def lost(self) -> bool:
        ended, _ = ray.wait(self._tasks, num_returns=len(self._tasks), timeout=0)
        if any(not _returned(task) for task in ended):
            return True
        if time.monotonic() - self._looked_at < LOOK_S:
            return False
        self._looked_at = time.monotonic()
        return not _up().keys() >= set(self._nodes)

    def join(self, timeout_s: float) -> None:
        ray.wait(self._tasks, num_returns=len(self._tasks), timeout=timeout_s)


def _returned(task: "ray.ObjectRef[Any]") -> bool:
    """Whether a task that has ended came to its end, rather than being lost."""
    try:
        ray.get(task)
    except ray.exceptions.RayError:
        return False
    return True


def _up() -> dict[str, Room]:
    """What each node that is up has in all. A task on a node that is cut off may go on for ever without an error."""
    up = [node for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]  # ray's own
    return {
        node["NodeID"]: Room(cpus=node["Resources"].get("CPU", 0), gpus=node["Resources"].get("GPU", 0)) for node in up
    }


def _on(node: str) -> NodeAffinitySchedulingStrategy:
    return NodeAffinitySchedulingStrategy(node, soft=False)


@contextlib.contextmanager
def _ray(options: Options) -> Iterator["_Ray"]:
    """Ray on this machine, ended with the block, or a connection to an existing one."""
    if options.address is None:
        os.environ.update(_RAY_ENVIRONMENT)
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))  # else Ray leaves a token in the home folder
    arguments: dict[str, Any] = (
        {}
        if options.address
        else {
            "num_cpus": options.cpus or len(os.sched_getaffinity(0)),
            "include_dashboard": False,
            "object_store_memory": _OBJECT_STORE_BYTES,
        }
    )
    _connect(options.address, arguments)
    started = Daemons() if options.address else Daemons.mine()
    try:
        yield _Ray(started)
    finally:
        started.close()
        ray.shutdown()


def _connect(address: str | None, arguments: dict[str, Any]) -> None:
    """Start Ray or reach the one at `address`, which may just be coming back.

    Raises:
        ClusterError: it cannot be started, or was not reached in time.
    """
    deadline = time.monotonic() + (PATIENCE_S if address else 0.0)
    while True:
        try:
            ray.init(address=address or "local", log_to_driver=False, logging_level=logging.ERROR, **arguments)
        except Exception as error:  # Ray raises a bare one where it starts too slowly
            if time.monotonic() < deadline:
                time.sleep(2.0)
                continue
            where = f"Ray at {address!r} was not reached in {PATIENCE_S:g} s" if address else "Ray cannot be started"
            said = str(error).strip().splitlines() or [type(error).__name__]
            advice = "Is it up, and this the address that `ray start --head` has printed?" if address else ""
            raise ClusterError(f"{where}: {said[0]} {advice}".rstrip()) from error
        return


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Task:
    """What runs."""

    folder: JobFolder
    job_id: str
    nodes: tuple[str, ...]  # its supervisor is on the first


class _Ray:
    """The cluster this process is connected to."""

    def __init__(self, started: Daemons) -> None:
        self._started = started
        self._tasks: dict[ray.ObjectRef[Any], _Task] = {}
        self._floor = Floor()
        self._offered: tuple[str, ...] | None = None
        self._nodes: dict[str, Room] = {}
        self._counted_at = -math.inf

    def look_again(self) -> None:
        """Jobs are offered anew, the largest first; the nodes that are up are counted now and then."""
        self._count()
        self._floor.look_again()

    def has_room(self, wish: Wish) -> bool:
        """Whether another job that wishes for this may be submitted now.

        Raises:
            UsageError: this cluster has never had so many nodes with so many GPUs.
        """
        if not self._floor.possible(wish):
            nodes = (
                f"{wish.gpus} GPUs on each of {wish.nodes} nodes" if wish.nodes > 1 else f"{wish.gpus} GPUs on one node"
            )
            raise UsageError(f"A job asks for {nodes}; this Ray has {self._floor}.")
        self._offered = self._floor.offer(wish, time.monotonic())
        return self._offered is not None

    def submit(self, folder: JobFolder, order: Order, wish: Wish) -> None:
        """Start `supervise(folder, order)` on the first of the nodes that the job was just offered."""
        nodes = self._offered
        assert nodes is not None, "a job is submitted only where there is room"
        each = self._floor.take(order.spec.id, nodes, wish, time.monotonic())
        task = _supervise.options(
            num_cpus=each.cpus,
            num_gpus=each.gpus,
            name=f"{order.spec.task} {order.spec.id}",
            scheduling_strategy=_on(nodes[0]),
        ).remote(str(folder.root), order.to_dict(), list(nodes), each.cpus)
        self._tasks[task] = _Task(folder=folder, job_id=order.spec.id, nodes=nodes)

    def wait(self, timeout_s: float) -> list[tuple[str, Result | None]]:
        """Job ids whose supervisor has ended, each with its result, or None if the supervisor was lost."""
        ended, _ = ray.wait(list(self._tasks), num_returns=1, timeout=timeout_s)
        if ended:  # take whatever else has ended meanwhile
            ended, _ = ray.wait(list(self._tasks), num_returns=len(self._tasks), timeout=0)
        self._count()
        lost = [reference for reference, task in self._tasks.items() if task.nodes[0] not in self._nodes]
        return [
            *((self._tasks[reference].job_id, self._result(reference)) for reference in ended),
            *((self._forget(reference).job_id, None) for reference in lost if reference not in ended),
        ]

    def lost(self) -> bool:
        """Whether one of the daemons that were started here has ended; an existing Ray ends its drivers itself."""
        return self._started.lost()

    def _result(self, reference: "ray.ObjectRef[Any]") -> Result | None:
        task = self._forget(reference)
        try:
            result = Result.from_dict(ray.get(reference))
            if result.failure != "node_lost":
                return result
            self._floor.suspect(task.nodes[1:], time.monotonic())
            return None
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
            self._floor.suspect(task.nodes[:1], time.monotonic())
            return None

    def _forget(self, reference: "ray.ObjectRef[Any]") -> _Task:
        task = self._tasks.pop(reference)
        self._floor.release(task.job_id)
        return task

    def _count(self) -> None:
        """Now and then; a Ray that was started here keeps its one node or is lost, so it is asked once."""
        if self._started and self._nodes:
            return
        if time.monotonic() - self._counted_at > LOOK_S:
            self._nodes = self._up()
            self._floor.update(self._nodes, time.monotonic())
            self._counted_at = time.monotonic()

    def _up(self) -> dict[str, Room]:
        return _up()
