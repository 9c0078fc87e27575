"""The command `unsmooth`: exit code 0 if all is well, 1 if a job failed or was blocked, 2 if the request was wrong."""

import errno
import sys
from importlib.metadata import version
from typing import Annotated

import typer

from suite.commands import (
    board,
    checking,
    data,
    images,
    listing,
    planning,
    publishing,
    running,
    serving,
    standing,
    starting,
    submitting,
)
from suite.errors import UnsmoothError

app = typer.Typer(
    name="unsmooth",
    help="Benchmark what helps against over-smoothing: one variant file, four tasks, one leaderboard.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("list")(listing.list_)
app.command("plan")(planning.plan)
app.command("run")(running.run)
app.command("submit", context_settings=submitting.PASSED_ON)(submitting.submit)
app.command("cancel")(submitting.cancel)
app.command("status")(standing.status)
app.command("leaderboard")(board.leaderboard)
app.command("record")(board.record_)
app.command("ui")(serving.ui)
app.command("publish")(publishing.publish)
app.command("validate")(publishing.validate)
app.add_typer(data.app, name="data")
app.add_typer(images.app, name="images")
app.command("new")(starting.new)
app.command("check")(checking.check)
app.command("doctor")(starting.doctor)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"unsmooth {version('unsmooth')}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and stop.")
    ] = False,
) -> None:
    """Options before the command."""


def main() -> None:
    """Run the command line; what a user can cause is told in whole sentences, without a stack trace."""
    try:
        app()
    except UnsmoothError as error:
        for message in error.messages:
            print(message, file=sys.stderr)
        sys.exit(error.exit_code)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        where = f" ({error.filename})" if error.filename else ""
        print(f"{error.strerror}{where}. Free some, then run the same command again; it goes on.", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
