"""What a command line asks for: the plan is read, its jobs are chosen and weighed, nothing is written yet."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from suite.commands import matrix, options, preview
from suite.commands.matrix import Matrix
from suite.commands.preview import Machine, Preview
from suite.planning import manifest
from suite.planning.manifest import Prediction
from suite.running import lock
from suite.running.agenda import Redo
from suite.running.driver import Options


@dataclasses.dataclass(frozen=True, kw_only=True)
class Asked:
    """What a command line asks for, read and found to make sense."""

    jobs: Matrix
    seen: Preview
    wanted: Options
    command: Sequence[str]  # what was typed, without choosing jobs


def ask(
    plan: str,
    *,
    runs: Path,
    data: Path | None,
    select: Sequence[str] | None,
    exclude: Sequence[str] | None,
    seeds: str | None,
    variant_file: Sequence[Path] | None,
    force: bool,
    retry_failed: bool,
    rerun: str | None,
    max_jobs: int | None,
    gpus: int | None,
    nodes: int,
    processes: int,
    workers: int,
    micro_batch: int | None,
    retries: int,
    ray_address: str | None,
    runtime: str,
    memory: int | None,
) -> Asked:
    """Read the plan and weigh what is left of it; nothing is written.

    Raises:
        UsageError: everything that is wrong with the plan or the choice of its jobs.
    """
    files = list(variant_file or ())
    jobs = matrix.read(
        plan, variant_files=files, select=select or (), exclude=exclude or (), seeds=seeds, runtime=runtime
    )
    machine = Machine.of(
        gpus_per_job=gpus,
        ray_address=ray_address,
        nodes=nodes,
        processes=processes,
        workers=workers,
        micro_batch=micro_batch,
        max_jobs=max_jobs,
        runtime=runtime,
        memory_bytes=memory,
    )
    redo = Redo(everything=force, failed=retry_failed, stale=rerun == "stale")
    machine.refuse_uneven(jobs)
    seen = preview.of(jobs, runs, redo, machine, data)
    wanted = Options(
        runs=runs,
        data_root=data,
        runtime=runtime,
        memory_bytes=memory,
        address=ray_address,
        nodes_per_job=nodes,
        gpus_per_job=machine.gpus,
        processes=processes,
        micro_batch=micro_batch,
        workers=workers,
        max_jobs=max_jobs,
        retries=retries,
        redo=redo,
        weights={job_id: guess.seconds for job_id, guess in seen.guesses.items()},
    )
    return Asked(jobs=jobs, seen=seen, wanted=wanted, command=_command(plan, runs, data, files, runtime))


def remember(asked: Asked) -> Path:
    """Write down what is run, first of all: a runs folder that cannot be used is told before anything else."""
    jobs, runs = asked.jobs, asked.wanted.runs
    with lock.hold(runs):
        return manifest.remember(
            jobs.plan, jobs.jobs, jobs.catalogue, runs, command=asked.command, predictions=_predictions(asked.seen)
        )


def _predictions(seen: Preview) -> dict[str, Prediction]:
    guesses = {job.id: seen.guesses[job.id] for job in seen.outlook.left}
    return {
        job_id: Prediction(wall_s=guess.seconds, peak_bytes=guess.peak_bytes, origin=guess.origin)
        for job_id, guess in guesses.items()
    }


def _command(plan: str, runs: Path, data: Path | None, variant_files: Sequence[Path], runtime: str) -> list[str]:
    """What was typed as far as it says where things are, for the commands that the board prints."""
    files = [word for path in variant_files for word in ("--variant-file", str(path))]
    folders = [
        *(("--runs", str(runs)) if runs != options.DEFAULT_RUNS else ()),
        *(("--data", str(data)) if data else ()),
        *(("--runtime", runtime) if runtime != "local" else ()),
    ]
    return ["unsmooth", "run", plan, *folders, *files]
