"""Probes: a few real steps of each setting of a plan, one after the other on this machine, and what they told.

    runs/.probes/<key>.json     the pace that was found, and under what it holds
    runs/.probes/<key>/         the job's folder while it runs; after a failure it stays, for its log

A probe is a job like any other but for its number of steps, so that whatever would stop the real one stops it too.
Failures are not remembered: the next time the setting is tried again.
"""

import dataclasses
import hashlib
import os
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from jobs.contract import (
    PHASES,
    SCHEMA,
    ContractError,
    JobFolder,
    Result,
    canonical,
    read_events,
    read_json,
    write_json,
)
from suite.errors import UsageError
from suite.planning import pace
from suite.planning.description import code_digest
from suite.planning.pace import Pace, Setup
from suite.planning.plan import Job
from suite.running import gpus, lock
from suite.running.order import Order
from suite.running.supervise import supervise

BASELINE = "softmax"
"""The variant that is probed for all; the others cost about as much."""

CUT_SHORT = ("timeout", "hang")
"""Failures that leave the steps before them worth counting."""

_NEVER_S = 1e9


@dataclasses.dataclass(frozen=True, kw_only=True)
class Effort:
    """How much is spent on a probe."""

    steps: int = 10
    limit_s: float = 300.0  # on each of a probe's phases
    each_variant: bool = False  # rather than the baseline alone
    data_root: Path | None = None
    runtime: str = "local"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Probe:
    """One setting, and what was found."""

    name: str
    pace: Pace | None = None
    problem: str | None = None  # what is missing of the pace, or why there is none
    remembered: bool = False


def hardware() -> str:
    """This machine in words: its processor and cores, its GPUs."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    cores = f"{len(os.sched_getaffinity(0))} x {names[0] if names else 'unknown'}"
    return "; ".join([cores, *gpus.names()])


def under(setup: Setup) -> Setup:
    """The same on this machine with the code as it is: a probe holds for no other."""
    return dataclasses.replace(setup, hardware=hardware(), code=code_digest())


def remembered(runs: Path, setup: Setup) -> dict[tuple[bytes, bytes], Pace]:
    """Earlier probes of this setup, by place and variant; files that cannot be read teach nothing."""
    found = {}
    for path in sorted(_folder(runs).glob("*.json")):
        try:
            document = read_json(path)
            if document["schema"] == SCHEMA and document["setup"] == dataclasses.asdict(setup):
                found[document["place"].encode(), document["variant"].encode()] = Pace(**document["pace"])
        except (ContractError, KeyError, TypeError):
            continue
    return found


@dataclasses.dataclass(frozen=True, kw_only=True)
class Prober:
    """Probes jobs under one setup and remembers what it finds in `runs`."""

    runs: Path
    setup: Setup
    effort: Effort
    label: Callable[[Job], str] = lambda job: job.name  # what people call a job's setting and variant

    def run(self, jobs: Sequence[Job], tell: Callable[[Probe], None] = lambda _: None) -> list[Probe]:
        """Probe each setting of `jobs` that is not remembered, and `tell` each as it is known.

        Raises:
            UsageError: this machine has too few GPUs, or a run is going on in the runs folder.
        """
        there = len(gpus.names())
        if self.setup.gpus > there:
            raise UsageError(
                f"A probe of jobs on {self.setup.gpus} GPUs needs as many on this machine, which has {there}."
                " Probe where they are, or give --gpus a smaller number."
            )
        found = []
        with lock.hold(self.runs):
            known = remembered(self.runs, self.setup)
            for job in chosen(jobs, each_variant=self.effort.each_variant):
                earlier = known.get((pace.place(job.spec), pace.variant(job.spec)))
                probe = Probe(name=self.label(job), pace=earlier, remembered=True) if earlier else self._probe(job)
                tell(probe)
                found.append(probe)
        return found

    def _probe(self, job: Job) -> Probe:
        """Run one, and remember it if it has told a pace."""
        identity = {"setup": dataclasses.asdict(self.setup), "place": pace.place(job.spec).decode()}
        identity |= {"variant": pace.variant(job.spec).decode()}
        path = _folder(self.runs) / f"{hashlib.sha256(canonical(identity)).hexdigest()[:16]}.json"
        folder = JobFolder(path.with_suffix(""))
        shutil.rmtree(folder.root, ignore_errors=True)
        began = time.time()
        result = supervise(folder, self._order(job), devices=range(self.setup.gpus))
        probe = self._understood(job, folder, result, (began, time.time()))
        if probe.pace is None:
            shutil.rmtree(folder.checkpoints, ignore_errors=True)
            return probe
        write_json(path, {"schema": SCHEMA, **identity, "pace": dataclasses.asdict(probe.pace)})
        shutil.rmtree(folder.root)
        return probe

    def _order(self, job: Job) -> Order:
        setup, effort = self.setup, self.effort
        return Order(
            spec=pace.shortened(job.spec, self._steps),
            runtime=effort.runtime,
            processes=setup.gpus or setup.processes,
            micro_batch=setup.micro_batch,
            workers=setup.workers,
            data_root=str(effort.data_root.absolute()) if effort.data_root else None,
            variant_file=str(job.variant_file.absolute()) if job.variant_file else None,
            limits_s=dict.fromkeys((*PHASES, "heartbeat"), effort.limit_s),
            checkpoint_s=_NEVER_S,
            retries=0,
            grace_s=5.0,
            poll_s=0.1,
        )

    @property
    def _steps(self) -> int:
        """Loading processes fill their queues first and hand over in bursts: seeing the pace then takes more steps."""
        return max(self.effort.steps, 3 * self.setup.workers)

    def _understood(self, job: Job, folder: JobFolder, result: Result, times: tuple[float, float]) -> Probe:
        """What came of a probe: its pace, whole or without its testing, or why there is none."""
        began, ended = times
        whole = result.status == "ok"
        if not whole and result.failure not in CUT_SHORT:
            return Probe(name=self.label(job), problem=result.reason or f"It was {result.status}.")
        events = [event for _, event in read_events(folder.attempt(result.attempt).events)]
        warm_up = max(1, self.setup.workers)
        found = pace.read(events, began=began, ended=ended if whole else None, warm_up=warm_up)
        if found is None:
            return Probe(name=self.label(job), problem=f"No step was completed. {result.reason or ''}".rstrip())
        found = dataclasses.replace(
            found,
            validate_every=pace.validate_every(job.spec) or found.validate_every,
            parameters=_number(result.cost, "parameters"),
            peak_bytes=_number(result.cost, "peak_bytes"),
        )
        cut = None if whole else f"Cut short, what is missing is guessed: {result.reason}"
        return Probe(name=self.label(job), pace=found, problem=cut)


def chosen(jobs: Sequence[Job], *, each_variant: bool) -> list[Job]:
    """One job of each setting, its baseline if there is one; or one of each variant in it."""
    found: dict[Any, Job] = {}
    for job in jobs:
        key = (pace.place(job.spec), pace.variant(job.spec) if each_variant else None)
        if job.broken is None and (key not in found or job.spec.variant == BASELINE != found[key].spec.variant):
            found[key] = job
    return list(found.values())


def _number(cost: Mapping[str, Any], name: str) -> float | None:
    return float(cost[name]) if cost.get(name) is not None else None


def _folder(runs: Path) -> Path:
    return runs / ".probes"
