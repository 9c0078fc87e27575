"""`unsmooth run`: plan file -> jobs -> results -> record -> board."""

import contextlib
import dataclasses
import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from jobs.contract import EXIT_PREEMPTED, Result
from suite.commands import asking, board, options, output
from suite.commands.matrix import Matrix
from suite.errors import UsageError
from suite.masking import masked
from suite.planning import manifest
from suite.recording import record
from suite.recording.record import Summary
from suite.running import progress, state
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
    nodes: options.Nodes = 1,
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
    asked = asking.ask(
        plan, runs=runs, data=data, select=select, exclude=exclude, seeds=seeds, variant_file=variant_file, force=force,
        retry_failed=retry_failed, rerun=rerun, max_jobs=max_jobs, gpus=gpus, nodes=nodes, processes=processes,
        workers=workers, micro_batch=micro_batch, retries=retries, ray_address=ray_address, runtime=runtime,
        memory=memory,
    )  # fmt: skip
    if asked.seen.lacks and not dry_run and ray_address is None:
        raise UsageError(asked.seen.lacks)
    listed = None if dry_run else asking.remember(asked)
    if not json:
        asked.seen.show()
    if listed is None:
        output.document(asked.seen.to_dict()) if json else output.say("Nothing was started.")
        return
    if data is not None and not data.is_dir():
        output.warn(f"There is no folder {data} on this machine; jobs that need it will fail unless their node has it.")
    carried = _carry_out(
        asked.jobs,
        listed,
        asked.wanted,
        tracking_uri or record.default_uri(runs),
        json=json,
        idle=not asked.seen.outlook.left,
    )
    output.document(carried) if json else _show(carried)
    if carried.counts.get("interrupted"):
        raise typer.Exit(EXIT_PREEMPTED)
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
