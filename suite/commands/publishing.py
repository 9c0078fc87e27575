"""`unsmooth publish` and `unsmooth validate`: results that others can check."""

import re
from pathlib import Path
from typing import Annotated

import typer

from suite.commands import board, options, output
from suite.errors import UsageError


def publish(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What the published folder is called.")],
    *,
    runs: options.Runs = options.DEFAULT_RUNS,
    plan: options.PlanName = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder that NAME is written into.")] = Path("results"),
) -> None:
    """Copy a plan's specs, results, provenance and board into results/NAME, without paths of this machine."""
    from suite import publishing  # loads plotly and scipy, which other commands do not wait for

    if not re.fullmatch(r"[a-z0-9][a-z0-9._-]*", name):
        raise UsageError(f"{name!r} is no name for results. Use lower-case letters, digits, '.', '_' and '-'.")
    written = publishing.publish(runs, board.manifests(runs, plan)[-1], out / name)
    output.say(f"Published: {written[0].parent}. `unsmooth validate {written[0].parent}` checks it, here and anywhere.")


def validate(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="A folder that was published.")],
    *,
    json: options.Json = False,
) -> None:
    """Check a published folder: files, digests, ids, and every claim computed again; exit code 1 if one fails."""
    from suite import publishing

    found = list(publishing.problems(folder))
    if json:
        output.document({"folder": str(folder), "problems": found})
    else:
        for problem in found:
            output.say(problem)
        output.say(f"{folder}: {f'{len(found)} problems' if found else 'every file and every claim holds'}.")
    if found:
        raise typer.Exit(1)
