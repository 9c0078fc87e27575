"""`unsmooth leaderboard` and `unsmooth record`: from the files of a runs folder to board and MLflow."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from jobs.contract import ContractError
from suite.commands import options, output
from suite.errors import RecordError, UsageError, unknown
from suite.masking import masked
from suite.planning import manifest
from suite.planning.manifest import Manifest
from suite.recording import record


def leaderboard(
    *,
    runs: options.Runs = options.DEFAULT_RUNS,
    plan: options.PlanName = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder for the board's files. [default: the runs folder]")
    ] = None,
    json: options.Json = False,
) -> None:
    """Write the board of the plan that was run last: HTML, Markdown, CSV and JSON."""
    listed = manifests(runs, plan)[-1]
    files = draw(runs, listed, out or runs)
    if json:
        output.say(next(path for path in files if path.suffix == ".json").read_text(encoding="utf-8").rstrip())
        return
    for path in files:
        output.say(str(path))


def record_(
    *,
    runs: options.Runs = options.DEFAULT_RUNS,
    plan: options.PlanName = None,
    tracking_uri: options.TrackingUri = None,
    json: options.Json = False,
) -> None:
    """Replay the job folders into MLflow: finished jobs, rows and boards; what is there already is not written twice.

    For nodes that saw no server while they ran, or when one was lost. Several machines may do it at once, repeatedly.

    A server's login is taken from MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD.
    """
    uri = tracking_uri or record.default_uri(runs)
    missing: dict[str, str] = {}
    summaries = {}
    for listed in manifests(runs, plan):
        saved = record.save(runs, [job.id for job in listed.jobs], uri)
        published = record.publish(runs, draw(runs, listed, runs), uri, name=listed.name)
        missing |= {**saved.missing, **published.missing}
        summaries[listed.name] = {"jobs": saved, "board": published}
        if not json:
            output.say(f"{listed.name}: jobs: {saved.sentence()} Board: {published.sentence()}")
    if json:
        output.document(summaries)
    if missing:
        raise RecordError(f"The record at {masked(uri)} is not complete. Nothing is lost: run the same command again.")


def draw(runs: Path, listed: Manifest, folder: Path) -> list[Path]:
    """Write the board of a plan into `folder`; the page comes first in what is returned.

    Raises:
        UsageError: the folder cannot be written.
    """
    from suite.leaderboard import board, files  # loads plotly and scipy, which other commands do not wait for

    try:
        return files.write(board.build(runs, listed), folder)
    except OSError as error:
        raise UsageError(f"The board cannot be written to {folder}: {error.strerror}. Give another with -o.") from error


def manifests(runs: Path, plan: str | None) -> Sequence[Manifest]:
    """Of the plans that were run into `runs`, the one called `plan`, or all of them, the latest last."""
    try:
        found = manifest.load_all(runs)
    except ContractError as error:
        raise UsageError(f"{error} Run the plan again to write it anew.") from error
    chosen = [one for one in found if plan is None or one.name == plan]
    if not found:
        raise UsageError(f"No plan was run into {runs} yet. Start with `unsmooth run smoke`, or give --runs.")
    if not chosen:
        raise UsageError(unknown("plan", plan, [one.name for one in found]))
    return chosen
