"""What `plan` and `run` say before anything is spent: counts, what is done, hours, wall-clock, disk, memory."""

import dataclasses
import os
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from suite import images
from suite.commands import output
from suite.commands.matrix import Matrix
from suite.errors import UsageError
from suite.planning import cost, division
from suite.planning.cost import Estimate, Guess
from suite.planning.labels import variant_label
from suite.planning.pace import Setup
from suite.planning.plan import Job
from suite.running import gpus, outlook, probing
from suite.running.agenda import Redo
from suite.running.outlook import Outlook
from suite.running.progress import duration
from suite.running.runtimes import registry


@dataclasses.dataclass(frozen=True, kw_only=True)
class Machine:
    """What jobs run on, as far as it decides how many run at once."""

    gpus: int  # per node of a job
    nodes: int = 1  # per job
    processes: int = 1  # per node of a job on the CPU
    workers: int = 0  # data-loading processes per process
    micro_batch: int | None = None
    max_jobs: int | None = None
    runtime: str = "local"
    memory_bytes: int | None = None  # at most, per job and node

    @classmethod
    def of(cls, *, gpus_per_job: int | None, ray_address: str | None = None, **wishes: Any) -> "Machine":
        """This machine; without a wish, each job gets a GPU where there is one and Ray is started here.

        Raises:
            UsageError: there is no such runtime, or it cannot keep the limit that is wished for.
        """
        if gpus_per_job is None:
            gpus_per_job = 1 if ray_address is None and gpus.names() else 0
        machine = cls(gpus=gpus_per_job, **wishes)
        registry.find(machine.runtime)
        if machine.runtime == "local" and machine.memory_bytes is not None:
            raise UsageError(
                "--memory: the runtime local sets no limits. Choose a container, such as --runtime docker."
            )
        return machine

    def setup(self, job: Job | None = None) -> Setup:
        """How jobs are run on it, for guesses and probes; of a certain job, whose entry may say otherwise."""
        used, processes = self.gpus, self.processes
        if job is not None:
            used, processes = job.devices(gpus=self.gpus, processes=self.processes, nodes=self.nodes)
        wanted = Setup(
            processes=processes or self.processes, gpus=used, workers=self.workers, micro_batch=self.micro_batch
        )
        return probing.under(wanted)

    def refuse_uneven(self, matrix: Matrix) -> None:
        """Raises UsageError where a global batch cannot be dealt out to a job's processes."""
        division.refuse_uneven(
            matrix.plan, matrix.jobs, matrix.catalogue, processes=self.processes, gpus=self.gpus, nodes=self.nodes
        )

    def at_once(self, threads: int) -> list[int]:
        """How many jobs of `threads` threads per process this machine takes at once, and larger ones would.

        Where the wish is for more GPUs than there are, those of one, four and sixteen nodes of eight.
        """
        if self.gpus:
            there = len(gpus.names()) // self.gpus
            rooms = [there, 2 * there, 4 * there] if there else [max(1, nodes * 8 // self.gpus) for nodes in (1, 4, 16)]
        else:
            room = max(1, len(os.sched_getaffinity(0)) // (threads * self.processes))
            rooms = [room, 2 * room, 4 * room]
        return sorted({min(room, self.max_jobs or room) for room in rooms})


@dataclasses.dataclass(frozen=True, kw_only=True)
class Preview:
    """A plan, how it stands, and what is left of it will take."""

    matrix: Matrix
    outlook: Outlook
    guesses: Mapping[str, Guess]
    estimate: Estimate
    runs: Path
    machine: Machine

    @property
    def lacks(self) -> list[str]:
        """What is missing on this machine before some of the jobs left can start, a sentence for each environment."""
        runtime = registry.find(self.machine.runtime)
        needed = Counter(runtime.needs(job.spec) for job in self.outlook.left)
        found = {name: runtime.lacks(name) or images.outdated(self.machine.runtime, name) for name in needed}
        return [f"{reason} {_needing(needed[name])}" for name, reason in found.items() if reason]

    def to_dict(self) -> dict[str, Any]:
        """For --json."""
        jobs, left = self.matrix.jobs, {job.id for job in self.outlook.left}
        return {
            "plan": self.matrix.plan.name,
            "tier": self.matrix.plan.tier,
            "counts": self.counts(),
            "estimate": self.estimate,
            "disk_free_bytes": free_bytes(self.runs),
            "stale": self.outlook.stale,
            "lacks": self.lacks,
            "jobs": [
                {"id": job.id, "name": job.name, "left": job.id in left, "upstream": job.upstream, "spec": job.spec}
                for job in jobs
            ],
        }

    def counts(self) -> dict[str, Any]:
        """How many jobs there are, by task and by how they stand."""
        jobs = self.matrix.jobs
        return {
            "jobs": len(jobs),
            "by_task": dict(Counter(job.spec.task for job in jobs)),
            "variants": sorted({variant_label(job.spec) for job in jobs}),
            "seeds": sorted({job.spec.seed for job in jobs}),
            "finished": len(self.outlook.finished),
            "failed": len(self.outlook.failed),
            "stale": len(self.outlook.stale),
            "left": len(self.outlook.left),
        }

    def show(self) -> None:
        """For people."""
        counts = self.counts()
        tasks = ", ".join(f"{task} {number}" for task, number in counts["by_task"].items())
        output.say(f"Plan {self.matrix.plan.name} ({self.matrix.plan.tier}): {counts['jobs']} jobs: {tasks}.")
        output.say(f"Variants: {', '.join(counts['variants'])}.")
        output.say(f"Seeds: {', '.join(map(str, counts['seeds']))}.")
        output.say(
            f"Already finished: {counts['finished']}. Failed before: {counts['failed']}. Left: {counts['left']}."
        )
        self._show_problems()
        if self.outlook.left:
            self._show_estimate()

    def _show_problems(self) -> None:
        if self.outlook.failed:
            output.say("Failed jobs stay as they are; --retry-failed runs them again.")
        for reason, number in Counter(self.outlook.stale.values()).most_common():
            output.say(f"Stale: {number} results, because {reason}; --rerun stale runs them again.")
        for reason in self.lacks:
            output.say(f"Not ready: {reason}")
        for broken in self.matrix.catalogue.broken.values():
            output.say(f"Broken variant {broken.name}: {broken.problem} Its jobs become failed rows.")

    def _show_estimate(self) -> None:
        estimate = self.estimate
        hours = f"{_figure(estimate.gpu_h)} GPU-hours" if estimate.gpu_h else f"{_figure(estimate.core_h)} core-hours"
        walls = ", ".join(f"{duration(wall_s)} {self._room(slots)}" for slots, wall_s in estimate.wall_s.items())
        origins = ", ".join(f"{number} {origin}" for origin, number in estimate.origins.items())
        output.say(f"To spend: {hours}; wall-clock {walls}.")
        free = free_bytes(self.runs)
        enough = "" if estimate.disk_bytes < free else " That is not enough: give --runs a larger disk."
        output.say(f"Disk: {_figure(estimate.disk_bytes / 1e9)} GB of {_figure(free / 1e9)} GB free.{enough}")
        if estimate.peak_bytes:
            output.say(f"Memory: up to {estimate.peak_bytes / 1e9:.2g} GB a process, as far as it is known.")
        output.say(f"Where the times come from: {origins}.")
        if estimate.origins.get("guessed"):
            output.say("Guesses may be off by a factor of three; `unsmooth plan --probe` measures a few steps of each.")

    def _room(self, slots: int) -> str:
        if not self.machine.gpus:
            return f"with {slots} at once"
        number = slots * self.machine.gpus
        return f"on {number} GPU{'s' * (number > 1)}"


def _figure(number: float) -> str:
    """Two digits, or whole numbers from a hundred on."""
    return f"{number:,.0f}" if number >= 100 else f"{number:.2g}"


def _needing(number: int) -> str:
    jobs = "1 job needs it; --exclude leaves it" if number == 1 else f"{number} jobs need it; --exclude leaves them"
    return f"{jobs} out."


def of(matrix: Matrix, runs: Path, redo: Redo, machine: Machine, data_root: Path | None = None) -> Preview:
    """How the matrix stands in `runs`, and what is left of it will take on `machine`."""
    seen = outlook.read(matrix.jobs, runs, redo, data_root)
    past = cost.read_past(runs)
    guesses: dict[str, Guess] = {}
    for setup, jobs in _by_setup(matrix.jobs, machine).items():
        guesses |= cost.guess_all(jobs, past, setup, probing.remembered(runs, setup))
    estimate = cost.estimate(
        seen.left,
        guesses,
        at_once=machine.at_once(max((job.spec.threads for job in seen.left), default=1)),
        processes=machine.processes,
        gpus=machine.gpus,
        nodes=machine.nodes,
    )
    return Preview(matrix=matrix, outlook=seen, guesses=guesses, estimate=estimate, runs=runs, machine=machine)


def _by_setup(jobs: Sequence[Job], machine: Machine) -> dict[Setup, list[Job]]:
    """The jobs by how they are run: an entry may ask for GPUs and nodes of its own."""
    setups: dict[tuple[int | None, int | None], Setup] = {}
    found: dict[Setup, list[Job]] = {}
    for job in jobs:
        key = (job.gpus, job.nodes)
        if key not in setups:
            setups[key] = machine.setup(job)
        found.setdefault(setups[key], []).append(job)
    return found


def free_bytes(folder: Path) -> int:
    """Free disk where `folder` is or will be."""
    there = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    return shutil.disk_usage(there).free
