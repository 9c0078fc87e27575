"""`unsmooth run`: plan file -> jobs -> results -> record -> board."""

import contextlib
import dataclasses
import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from jobs.contract import Result
from suite.commands import board, matrix, options, output, preview
from suite.commands.matrix import Matrix
from suite.commands.preview import Machine
from suite.errors import UsageError
from suite.masking import masked
from suite.planning import manifest
from suite.recording import record
from suite.recording.record import Summary
from suite.running import lock, progress, state
from suite.running.agenda import Redo
from suite.running.driver import Options

_MACHINE = "Where and how"


def run(
    plan: options.PlanFile,
    *,
    runs: options.Runs = options.DEFAULT_RUNS,
    data: options.DataRoot = None,
    select: options.Select = None,
    exclude: options.Exclude = None,
    seeds: options.Seeds = None,
    variant_file: options.VariantFiles = None,
    force: options.Force = False,
    retry_failed: options.RetryFailed = False,
    rerun: options.Rerun = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be run and stop.")] = False,
    max_jobs: options.MaxJobs = None,
    gpus: options.Gpus = None,
    processes: options.Processes = 1,
    workers: options.Workers = 0,
    micro_batch: options.MicroBatch = None,
    runtime: options.Runtime = "local",
    memory: options.Memory = None,
    retries: Annotated[
        int, typer.Option("--retries", min=0, rich_help_panel=_MACHINE, help="Further attempts after a job's failure.")
    ] = 2,
    ray_address: options.RayAddress = None,
    tracking_uri: options.TrackingUri = None,
    json: options.Json = False,
) -> None:
    """Run a plan's unfinished jobs, record them and write the board.

    The same command again goes on where it was: finished jobs stay, unfinished ones resume from their checkpoint.
    """
    jobs = matrix.read(
        plan,
        variant_files=variant_file or (),
        select=select or (),
        exclude=exclude or (),
        seeds=seeds,
        runtime=runtime,
    )
    machine = Machine.of(
        gpus_per_job=gpus,
        ray_address=ray_address,
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
    if seen.lacks and not dry_run and ray_address is None:
        raise UsageError(seen.lacks)
    listed = None if dry_run else _remember(jobs, runs, _command(plan, runs, data, variant_file or (), runtime))
    if not json:
        seen.show()
    if listed is None:
        output.document(seen.to_dict()) if json else output.say("Nothing was started.")
        return
    if data is not None and not data.is_dir():
        output.warn(f"There is no folder {data} on this machine; jobs that need it will fail unless their node has it.")
    wanted = Options(
        runs=runs,
        data_root=data,
        runtime=runtime,
        memory_bytes=memory,
        address=ray_address,
        gpus_per_job=machine.gpus,
        processes=processes,
        micro_batch=micro_batch,
        workers=workers,
        max_jobs=max_jobs,
        retries=retries,
        redo=redo,
        weights={job_id: guess.seconds for job_id, guess in seen.guesses.items()},
    )
    carried = _carry_out(
        jobs, listed, wanted, tracking_uri or record.default_uri(runs), json=json, idle=not seen.outlook.left
    )
    output.document(carried) if json else _show(carried)
    if any(result.status in ("failed", "blocked") for result in carried.results):
        raise typer.Exit(1)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Carried:
    """What a run has left behind."""

    plan: str
    counts: Mapping[str, int]
    results: Sequence[Result]
    names: Mapping[str, str]
    board: Sequence[Path]
    record: Summary
    complete_with: str  # the command that records what could not be recorded now


def _command(plan: str, runs: Path, data: Path | None, variant_files: Sequence[Path], runtime: str) -> list[str]:
    """What was typed as far as it says where things are, for the commands that the board prints."""
    files = [word for path in variant_files for word in ("--variant-file", str(path))]
    folders = [
        *(("--runs", str(runs)) if runs != options.DEFAULT_RUNS else ()),
        *(("--data", str(data)) if data else ()),
        *(("--runtime", runtime) if runtime != "local" else ()),
    ]
    return ["unsmooth", "run", plan, *folders, *files]


def _remember(jobs: Matrix, runs: Path, command: Sequence[str]) -> Path:
    """Write down what is run, first of all: a runs folder that cannot be used is told before anything else."""
    with lock.hold(runs):
        return manifest.remember(jobs.plan, jobs.jobs, jobs.catalogue, runs, command=command)


def _carry_out(jobs: Matrix, listed: Path, wanted: Options, uri: str, *, json: bool, idle: bool) -> Carried:
    from suite.running import scheduler  # loads Ray, which `--help` and `plan` do not wait for

    runs, ids = wanted.runs, [job.id for job in jobs.jobs]
    meanwhile = contextlib.nullcontext() if idle else record.following(runs, ids, uri)
    with contextlib.closing(progress.choose(json=json)) as watcher, meanwhile:
        results = scheduler.run(jobs.jobs, wanted, watcher)
    files = board.draw(runs, manifest.load(listed), runs)  # before recording: no server keeps anybody from the board
    recorded = record.save(runs, ids, uri)
    published = record.publish(runs, files, uri, name=jobs.plan.name)
    return Carried(
        plan=jobs.plan.name,
        counts=Counter(state.of_result(result, name="").state for result in results),
        results=results,
        names={job.id: job.name for job in jobs.jobs},
        board=files,
        record=dataclasses.replace(recorded, missing={**recorded.missing, **published.missing}),
        complete_with=shlex.join(["unsmooth", "record", "--runs", str(runs), "--tracking-uri", masked(uri)]),
    )


def _show(carried: Carried) -> None:
    counts = ", ".join(f"{number} {status}" for status, number in sorted(carried.counts.items()))
    output.say(f"{len(carried.results)} jobs: {counts}.")
    if carried.counts.get("interrupted"):
        output.say("Interrupted jobs have kept their state: run the same command again to go on.")
    for result in carried.results:
        if result.status in ("failed", "blocked") and result.failure != "preempted":
            kind = f"{result.status} ({result.failure})" if result.failure else result.status
            output.say(
                f"{result.id} {carried.names[result.id]}: {kind}: {result.reason} {result.advice or ''}".rstrip()
            )
    if carried.record.missing:
        output.say(f"The record is not complete: {' '.join(dict.fromkeys(carried.record.missing.values()))}")
        output.say(f"Nothing is lost; complete it later with: {carried.complete_with}")
    output.say(f"Leaderboard: {carried.board[0]}")
