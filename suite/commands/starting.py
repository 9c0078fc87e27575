"""`unsmooth new` and `unsmooth doctor`: for whoever starts out."""

from pathlib import Path
from typing import Annotated

import typer

from suite import scaffold
from suite.commands import options, output


def new(
    name: Annotated[str, typer.Argument(help="The variant's name, such as my_idea; also the file's.")],
    *,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the files.")] = Path(),
) -> None:
    """Write a variant file that runs in every task as it is, its looped formula, and say what to type next."""
    path, formula = scaffold.write(name, out)
    output.say(f"Wrote {path} and {formula}. Next:")
    for command in scaffold.next_commands(path):
        output.say(f"  {command}")


def doctor(*, runs: options.Runs = options.DEFAULT_RUNS, json: options.Json = False) -> None:
    """Check Python, packages, GPUs, memory and disk, and say what to do about what is missing."""
    from suite import doctor as examination  # imports nothing heavy, but starts a child process that loads torch

    checks = examination.examine(runs)
    if json:
        output.document(checks)
    else:
        output.table(
            ("", "what", "found", "what to do"), [(one.status, one.name, one.found, one.advice) for one in checks]
        )
    if any(one.status == "fail" for one in checks):
        raise typer.Exit(1)
