"""`unsmooth ui`: the board and MLflow in a browser."""

import signal
from contextlib import ExitStack
from types import FrameType
from typing import Annotated

import typer

from suite import serving
from suite.commands import board, options, output
from suite.errors import UsageError
from suite.masking import masked
from suite.recording import record


def ui(
    *,
    runs: options.Runs = options.DEFAULT_RUNS,
    plan: options.PlanName = None,
    tracking_uri: options.TrackingUri = None,
    host: Annotated[str, typer.Option("--host", help="Address to listen on; others reach 0.0.0.0.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option("--port", min=1, max=65534, help="MLflow's port; the board has the next one.")
    ] = 5000,
) -> None:
    """Serve the board of the plan that was run last and MLflow's interface, until Ctrl-C."""
    listed = board.manifests(runs, plan)[-1]
    store = tracking_uri or record.default_uri(runs)
    if tracking_uri is None and not (runs / "mlflow.db").is_file():
        raise UsageError(f"Nothing of {runs} has been recorded yet. `unsmooth record --runs {runs}` does it.")
    drawn = board.draw(runs, listed, runs)[0]
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _stop)
    with ExitStack() as stack:
        try:
            address = stack.enter_context(serving.page(drawn, host, port + 1))
            process = None if _is_server(store) else stack.enter_context(serving.mlflow(store, host, port))
            output.say(f"Leaderboard: {address}")
            output.say(f"MLflow: {masked(store) if process is None else f'http://{host}:{port}/'}")
            output.say("Stop both with Ctrl-C.")
            if process is None:
                signal.pause()
            else:
                process.wait()
        except _Stopped:
            output.say("Stopped.")


class _Stopped(Exception):
    """Somebody asked for the end."""


def _stop(number: int, frame: FrameType | None) -> None:
    for other in (signal.SIGINT, signal.SIGTERM):
        signal.signal(other, signal.SIG_IGN)  # the end takes seconds; a second request must not interrupt it
    raise _Stopped


def _is_server(store: str) -> bool:
    """Whether the record is kept by a server that runs already."""
    return store.startswith(("http://", "https://"))
