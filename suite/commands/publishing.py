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
    against: Annotated[
        Path | None, typer.Option("--against", help="Runs folder in which you ran some of its jobs again.")
    ] = None,
    mark: Annotated[bool, typer.Option("--mark", help="If they agree, note in FOLDER that they do.")] = False,
    json: options.Json = False,
) -> None:
    """Check a published folder: files, digests, ids, and every claim computed again; exit code 1 if one fails.

    With --against, numbers of jobs that were run again must lie within half the 95% interval of their row. On
    another machine more than the last digits may differ.
    """
    from suite import publishing

    if mark and against is None:
        raise UsageError("--mark notes what was run again: give the runs folder with --against.")
    found = list(publishing.problems(folder))
    run_again = {} if found else publishing.again(folder)
    if against is not None and not found:
        run_again = publishing.rerun(folder, against)
        found += publishing.differing(folder, run_again)
        if mark and not found:
            publishing.verify(folder, run_again)
    if json:
        output.document({"folder": str(folder), "problems": found, "run_again": sorted(run_again)})
    else:
        exact = 0 if found else publishing.identical(folder, run_again)
        sentences = [*filter(None, [publishing.uncompared(folder)]), *found]
        _tell(folder, sentences, problems=len(found), run_again=len(run_again), exact=exact)
    if found:
        raise typer.Exit(1)


def _tell(folder: Path, sentences: list[str], *, problems: int, run_again: int, exact: int) -> None:
    for sentence in sentences:
        output.say(sentence)
    status = (
        f"verified: {run_again} jobs were run again and agree, {exact} of them to the last digit"
        if run_again
        else "self-reported: no job was run again"
    )
    output.say(f"{folder}: {f'{problems} problems' if problems else f'every file and every claim holds; {status}'}.")
