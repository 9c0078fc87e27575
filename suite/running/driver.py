"""Drives one command to its end: hands jobs out, takes results in, tells the watcher, outlives a lost cluster."""

import dataclasses
import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from jobs.contract import JobFolder, Result
from suite import provenance
from suite.errors import ClusterError
from suite.planning.plan import Job
from suite.running import agenda, retry, state
from suite.running.interrupts import Interrupts
from suite.running.order import Order
from suite.running.placement import Wish
from suite.running.vitals import Vitals

SHOW_S = 0.5
"""Seconds between two looks at the running jobs."""

RESTARTS = 5
"""How often in a row a cluster may be lost without a job having ended in between."""

PATIENCE_S = 60.0
"""Seconds that an existing Ray is given to bring back a node without which no job that is left can start."""

STUCK_SHOWN = 5
"""How many of the jobs that cannot start are named."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options:
    """How jobs are run; none of it decides a number."""

    runs: Path
    data_root: Path | None = None
    runtime: str = "local"
    address: str | None = None  # of an existing Ray; None starts one on this machine
    cpus: int | None = None  # that local Ray may hand out; None: as many as this process may use
    nodes_per_job: int = 1
    gpus_per_job: int = 0  # on each of its nodes; 0: on CPU
    processes: int = 1  # per node on CPU; on GPU there is one per GPU
    micro_batch: int | None = None
    workers: int = 0  # data-loading processes per process
    memory_bytes: int | None = None  # at most, per job and node
    max_jobs: int | None = None  # at the same time
    retries: int = 2
    limits_s: Mapping[str, float] = dataclasses.field(default_factory=dict)  # over those of the plan
    checkpoint_s: float = 30.0
    grace_s: float = 30.0
    pause_scale: float = 1.0  # multiplies the pauses before a retry
    redo: agenda.Redo = dataclasses.field(default_factory=agenda.Redo)
    weights: Mapping[str, float] = dataclasses.field(default_factory=dict)  # expected seconds by job id


class Cluster(Protocol):
    """Where supervisors run."""

    def look_again(self) -> None:
        """Jobs are offered anew, the largest first."""

    def has_room(self, wish: Wish) -> bool:
        """Whether another job that wishes for this may be submitted now."""

    def submit(self, folder: JobFolder, order: Order, wish: Wish) -> None:
        """Start `supervise(folder, order)` where there is room for it."""

    def wait(self, timeout_s: float) -> list[tuple[str, Result | None]]:
        """Job ids whose supervisor has ended, each with its result, or None if the supervisor was lost."""

    def lost(self) -> bool:
        """Whether it is gone, with all that ran on it."""


class Driver:
    """One command."""

    def __init__(self, jobs: Sequence[Job], options: Options, watcher: state.Watcher, interrupts: Interrupts) -> None:
        self.options, self.watcher, self.interrupts = options, watcher, interrupts
        self.agenda = agenda.Agenda(
            jobs,
            runs=options.runs,
            weights=options.weights,
            data_root=options.data_root,
            size=lambda job: self.wish(job).size,
        )
        self._git = provenance.git_version()
        self._stop_file = options.runs.absolute() / ".stop"
        self._stop_file.unlink(missing_ok=True)
        self._announced = 0
        self._unheard = False
        self._states = {job.id: state.JobState(id=job.id, name=job.name) for job in self.agenda.jobs}
        self._vitals: dict[str, tuple[int, Vitals]] = {}
        self._earlier: dict[str, int] = {}  # attempts made before the job was handed out
        self._reached: dict[str, int] = {}
        self._losses: dict[str, int] = {}
        self._idle_since: float | None = None
        self._shown_at = 0.0

    def run(self, start: Callable[[Options], AbstractContextManager[Cluster]]) -> list[Result]:
        """Every job's result, in order; a cluster is started only if a job needs one.

        Raises:
            ClusterError: the cluster was lost for good, or no job that is left can start on it.
        """
        self.agenda.open(self.options.redo)
        self._note_settled(self.agenda.results)
        self._show()
        restarts = 0
        while self.agenda.unfinished and not self.interrupts.count:
            settled = len(self.agenda.results)
            with start(self.options) as cluster:
                self.interrupts.listen()
                self._dispatch(cluster)
                lost = cluster.lost() and self.agenda.unfinished
            restarts = restarts + 1 if len(self.agenda.results) == settled else 0
            if lost:
                self._put_back_all(restarts)
            elif self.agenda.unfinished and not self.interrupts.count:
                raise ClusterError(self._standstill())
        self._show()
        return [self.agenda.results.get(job.id) or agenda.unstarted(job) for job in self.agenda.jobs]

    def _standstill(self) -> str:
        """What is said when nothing runs and nothing may start, so that to go on would be to wait for ever."""
        stuck = self.agenda.stuck()
        more = f" {len(stuck) - STUCK_SHOWN} more wait likewise." if len(stuck) > STUCK_SHOWN else ""
        return (
            f"{len(stuck)} jobs are left and none of them can start. {' '.join(stuck[:STUCK_SHOWN])}{more}"
            " Finished jobs are safe: see to it that Ray has a node with room, then run the same command again."
        )

    def _dispatch(self, cluster: Cluster) -> None:
        """Until every job has ended, the command was stopped, or the cluster is lost."""
        while not cluster.lost():
            self._pass_on_interrupts()
            if not self.interrupts.count:
                self._hand_out(cluster)
            if not self.agenda.running:
                if self._in_vain():
                    return
                time.sleep(SHOW_S)
                continue
            self._idle_since = None
            for job_id, result in cluster.wait(SHOW_S):
                self._settle(result) if result is not None else self._lose(self.agenda.running[job_id])
            if time.monotonic() - self._shown_at >= SHOW_S:
                self._show()

    def _in_vain(self) -> bool:
        """Whether it is pointless, with nothing running, to wait for a node that may come back."""
        if self.options.address is None or self.interrupts.count or not self.agenda.unfinished:
            return True
        if self._idle_since is None:
            self._idle_since = time.monotonic()
            self.watcher.note(f"No node has room for what is left; in {PATIENCE_S:g} s the command ends.")
        return time.monotonic() - self._idle_since > PATIENCE_S

    def _hand_out(self, cluster: Cluster) -> None:
        limit = self.options.max_jobs or len(self.agenda.jobs)
        cluster.look_again()
        while len(self.agenda.running) < limit:
            job = self.agenda.start_next(lambda job: cluster.has_room(self.wish(job)))
            if job is None:
                return
            folder = JobFolder(self.options.runs.absolute() / job.id)
            self._earlier[job.id] = max(folder.attempts(), default=0)
            cluster.submit(folder, self.order(job), self.wish(job))
            self._states[job.id] = state.JobState(id=job.id, name=job.name, state="running")

    def wish(self, job: Job) -> Wish:
        """What a job asks of the cluster."""
        gpus = self.options.gpus_per_job if job.gpus is None else job.gpus
        cpus = job.spec.threads * (gpus or self.options.processes)
        expected_s = self.options.weights.get(job.id, math.inf)
        return Wish(nodes=job.nodes or self.options.nodes_per_job, cpus=cpus, gpus=gpus, lasts_s=expected_s)

    def order(self, job: Job) -> Order:
        """What a supervisor is told about a job."""
        options, wish = self.options, self.wish(job)
        return Order(
            spec=job.spec,
            runtime=options.runtime,
            nodes=wish.nodes,
            processes=wish.gpus or options.processes,
            micro_batch=options.micro_batch,
            workers=options.workers,
            memory_bytes=options.memory_bytes,
            data_root=str(options.data_root.absolute()) if options.data_root else None,
            variant_file=str(job.variant_file.absolute()) if job.variant_file else None,
            limits_s={**job.limits_s, **options.limits_s},
            git=self._git,
            checkpoint_s=options.checkpoint_s,
            retries=options.retries,
            grace_s=options.grace_s,
            pause_scale=options.pause_scale,
            stop_file=str(self._stop_file),
        )

    def _settle(self, result: Result) -> None:
        before = set(self.agenda.results)
        self.agenda.settle(result)
        self._note_settled(self.agenda.results.keys() - before)

    def _note_settled(self, job_ids: Iterable[str]) -> None:
        for job_id in job_ids:
            self._vitals.pop(job_id, None)
            self._states[job_id] = state.of_result(self.agenda.results[job_id], name=self._states[job_id].name)

    def _lose(self, job: Job) -> None:
        """Its supervisor is gone: hand it out again, unless that never gets it any further."""
        self._look(job)
        _, vitals = self._vitals.pop(job.id, (0, None))
        step = vitals.highest_step if vitals else 0
        self._losses[job.id] = 1 if step > self._reached.get(job.id, 0) else self._losses.get(job.id, 0) + 1
        self._reached[job.id] = max(step, self._reached.get(job.id, 0))
        if self._losses[job.id] > retry.FRUITLESS:
            self._settle(agenda.given_up(JobFolder(self.options.runs / job.id), job, losses=self._losses[job.id]))
            return
        self.agenda.put_back(job)
        self._states[job.id] = dataclasses.replace(self._states[job.id], state="waiting")
        self.watcher.note(f"{job.name}: its supervisor was lost; the job goes on from its checkpoint.")

    def _put_back_all(self, restarts: int) -> None:
        """The cluster is gone, and with it every supervisor."""
        for job in list(self.agenda.running.values()):
            self.agenda.put_back(job)
            self._vitals.pop(job.id, None)
            self._states[job.id] = dataclasses.replace(self._states[job.id], state="waiting")
        if self.options.address is not None or restarts > RESTARTS:
            raise ClusterError("Ray was lost. Finished jobs are safe: run the same command again to go on.")
        if not self.interrupts.count:
            self.watcher.note("Ray was lost; it is started again, and unfinished jobs go on from their checkpoints.")

    def _pass_on_interrupts(self) -> None:
        """Tell the supervisors, wherever they are, by a file."""
        wanted = min(self.interrupts.count, 2)
        if wanted == self._announced:
            return
        try:
            aside = self._stop_file.with_name(".stop.new")
            aside.write_text(("drain", "now")[wanted - 1], encoding="utf-8")
            aside.replace(self._stop_file)
        except OSError as error:  # a full disk: try again until it is heard
            if not self._unheard:
                self.watcher.note(f"Jobs cannot be told to stop yet: {self._stop_file}: {error.strerror}.")
            self._unheard = True
            return
        self._announced = wanted
        gently = "Jobs write a checkpoint and stop; interrupt again to stop them at once."
        self.watcher.note(gently if wanted == 1 else "Jobs are stopped at once.")

    def _show(self) -> None:
        for job in self.agenda.running.values():
            self._look(job)
        self.watcher.show([self._states[job.id] for job in self.agenda.jobs])
        self._shown_at = time.monotonic()

    def _look(self, job: Job) -> None:
        """Read the events of the job's newest attempt, once there is one since it was handed out."""
        folder = JobFolder(self.options.runs / job.id)
        attempt = max(folder.attempts(), default=0)
        if attempt <= self._earlier[job.id]:
            return
        known, vitals = self._vitals.get(job.id, (None, None))
        if vitals is None or known != attempt:
            vitals = Vitals(folder.attempt(attempt).events)
            self._vitals[job.id] = (attempt, vitals)
        vitals.refresh()
        self._states[job.id] = state.of_vitals(vitals, id=job.id, name=job.name, state="running", attempts=attempt)
