"""`unsmooth submit` and `unsmooth cancel`: a plan on a SLURM cluster, from its login node."""

import contextlib
import itertools
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import click
import typer

from suite.clusters import array, script, site, slurm, submission
from suite.clusters.script import Script
from suite.clusters.site import Site
from suite.clusters.submission import Submission
from suite.commands import asking, options, output, running
from suite.commands.asking import Asked
from suite.errors import UnsmoothError, UsageError
from suite.running import lock, single

PASSED_ON = {"allow_extra_args": True, "ignore_unknown_options": True}
"""Whatever `submit` does not know is an option of `run`, which says what is wrong with it."""

_REFUSED = ("ray_address", "json")
"""Options of `run` that make no sense for a job in a queue."""


def submit(
    context: typer.Context,
    plan: options.PlanFile,
    *,
    site_file: Annotated[Path, typer.Option("--site", help="What the cluster is like; slurm/site.toml is an example.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the batch script and stop.")] = False,
) -> None:
    """Run a plan on a SLURM cluster; takes every option of `unsmooth run` and passes it on.

    The same command again goes on where it was. See `unsmooth status` and `unsmooth cancel`.
    """
    found = site.load(site_file)
    words = [plan, *context.args, *(("--runtime", found.run.runtime) if found.run.runtime != "local" else ())]
    asked = asking.ask(**_parsed(words, found))
    planned = Script(
        plan=asked.jobs.plan.name,
        here=Path.cwd(),
        runs=asked.wanted.runs,
        command=("run", *words),
        orders=script.folder(asked.wanted.runs) / "orders.jsonl",
    )
    text = script.render(found, planned)
    if dry_run:
        output.say(text.rstrip())
        return
    asked.seen.show()
    if not asked.seen.outlook.left:
        output.say("Nothing is left to run. `unsmooth leaderboard` draws the board.")
        return
    submission.refuse_second(asked.wanted.runs)
    asking.remember(asked)
    made = _hand_in(asked, found, planned, text)
    output.say(f"Submitted as SLURM job {', '.join(made.jobs)}. Logs: {planned.folder}")
    runs = shlex.quote(str(asked.wanted.runs))
    output.say(f"Watch it with: unsmooth status --runs {runs}. Stop it with: unsmooth cancel --runs {runs}.")


def _parsed(words: list[str], found: Site) -> dict[str, Any]:
    """The words as `unsmooth run` understands them; GPUs as the site file says where no option does.

    Raises:
        UsageError: `run` would refuse them.
    """
    alone = typer.Typer()
    alone.command("run")(running.run)
    try:
        given = typer.main.get_command(alone).make_context("unsmooth run", list(words)).params
    except click.UsageError as error:
        raise UsageError(f"{error.format_message()} `unsmooth submit` takes the options of `unsmooth run`.") from error
    if wrong := [name for name in _REFUSED if given[name]]:
        raise UsageError(f"--{wrong[0].replace('_', '-')} goes with `unsmooth run` only; leave it out.")
    if given["gpus"] is None:
        given["gpus"] = 1 if found.slurm.gpus_per_node else 0
    names = set(asking.ask.__annotations__) - {"return"}
    return {name: value for name, value in given.items() if name in names}


def _hand_in(asked: Asked, found: Site, planned: Script, text: str) -> Submission:
    planned.folder.mkdir(parents=True, exist_ok=True)
    path = planned.folder / f"{planned.plan}.sbatch"
    path.write_text(text, encoding="utf-8")
    jobs = [slurm.submit(path)] if found.slurm.mode == "ray" else _arrays(asked, found, planned, path)
    made = Submission.of(planned.plan, found.slurm.mode, jobs)
    made.save(asked.wanted.runs)
    return made


def _arrays(asked: Asked, found: Site, planned: Script, path: Path) -> list[str]:
    """Hand in array after array, each waiting for those of its upstream jobs, then what closes the run."""
    with lock.hold(asked.wanted.runs):
        left = single.orders(asked.jobs.jobs, asked.wanted)
    if wide := [job.name for job, order in left if order.nodes > 1]:
        raise UsageError(f'{wide[0]} asks for several nodes, which a job array does not give; use mode = "ray".')
    gpus = {job.id: asked.wanted.gpus_per_job if job.gpus is None else job.gpus for job, _ in left}
    arrays = array.divide(left, gpus=gpus, largest=slurm.largest_array())
    assert planned.orders is not None
    array.write(arrays, planned.orders)
    with _all_or_none() as ids:
        by_depth: dict[int, list[str]] = {}
        for depth, wanted, words in array.calls(arrays, found):
            wait = _after(by_depth.get(depth - 1, []))
            ids.append(slurm.submit(path, *words, options=[*wanted, *wait]))
            by_depth.setdefault(depth, []).append(ids[-1])
        log = f"--output={planned.folder}/%j.log"
        ids.append(slurm.submit(path, "close", options=[log, *_after(list(itertools.chain(*by_depth.values())))]))
    return ids


@contextlib.contextmanager
def _all_or_none() -> Iterator[list[str]]:
    """Collects what is handed in; if something of it is refused, the rest is taken back: nobody would know of it."""
    ids: list[str] = []
    try:
        yield ids
    except UnsmoothError:
        if ids:
            slurm.stop(ids, now=True)
        raise


def _after(ids: list[str]) -> list[str]:
    return [f"--dependency=afterany:{':'.join(ids)}"] if ids else []


def cancel(
    *,
    runs: options.Runs = options.DEFAULT_RUNS,
    now: Annotated[bool, typer.Option("--now", help="Without asking jobs to write a checkpoint first.")] = False,
) -> None:
    """Stop what was submitted from a runs folder; jobs write a checkpoint, and `unsmooth submit` goes on with it."""
    made = submission.latest(runs)
    if made is None:
        raise UsageError(f"Nothing was submitted from {runs}. Name the folder that was given to `submit` with --runs.")
    queued = made.queued()
    if queued is not None and not queued:
        output.say(f"SLURM job {', '.join(made.jobs)} has ended already.")
        return
    submission.mark_cancelled(runs, made)
    slurm.stop(made.jobs, now=now)
    how = "is ended" if now else "writes its checkpoints and ends; --now ends it at once"
    output.say(f"SLURM job {', '.join(made.jobs)} {how}.")
