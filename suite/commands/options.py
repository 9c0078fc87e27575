"""Options that several commands share, declared once."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from suite.commands import quantity

_CHOICE, _AGAIN, _MACHINE = "Which jobs", "Running again", "Where and how"

PlanFile = Annotated[
    str,
    typer.Argument(
        metavar="PLAN",
        help="A plan file, or the name of one that comes along: nano, smoke, small, graphs, attention, paper.",
    ),
]
Runs = Annotated[Path, typer.Option("--runs", help="Folder that holds every job's files and the board.")]
Select = Annotated[
    list[str] | None,
    typer.Option(
        "--select",
        rich_help_panel=_CHOICE,
        help="Only jobs that match: task, entry, data, engine, variant, 'neutreno[lam=0.4,0.6]', label, id, or the "
        "whole name entry/data/variant/seed; with * and ?. Repeatable; what a selected job starts from comes along.",
    ),
]
Exclude = Annotated[
    list[str] | None,
    typer.Option("--exclude", rich_help_panel=_CHOICE, help="Not the jobs that match; written like --select."),
]
Seeds = Annotated[
    str | None,
    typer.Option("--seeds", rich_help_panel=_CHOICE, help="Instead of the plan's: 0,1,2 or 0-4."),
]
VariantFiles = Annotated[
    list[Path] | None,
    typer.Option(
        "--variant-file",
        rich_help_panel=_CHOICE,
        help="A variant from outside the repository; it joins the plan. Repeatable.",
    ),
]
Force = Annotated[
    bool, typer.Option("--force", rich_help_panel=_AGAIN, help="Run finished jobs again; old attempts are kept.")
]
RetryFailed = Annotated[bool, typer.Option("--retry-failed", rich_help_panel=_AGAIN, help="Run failed jobs again.")]
Rerun = Annotated[
    Literal["stale"] | None,
    typer.Option("--rerun", rich_help_panel=_AGAIN, help="Run jobs again whose code or data have changed since."),
]
MaxJobs = Annotated[
    int | None, typer.Option("--max-jobs", min=1, rich_help_panel=_MACHINE, help="At most so many jobs at once.")
]
Gpus = Annotated[
    int | None,
    typer.Option(
        "--gpus", min=0, rich_help_panel=_MACHINE, help="GPUs per job and node. [default: 1 if there are any]"
    ),
]
Nodes = Annotated[
    int, typer.Option("--nodes", min=1, rich_help_panel=_MACHINE, help="Nodes per job, each with --gpus GPUs.")
]
Processes = Annotated[
    int, typer.Option("--processes", min=1, rich_help_panel=_MACHINE, help="Processes per job and node on the CPU.")
]
Workers = Annotated[
    int, typer.Option("--workers", min=0, rich_help_panel=_MACHINE, help="Data-loading processes per process.")
]
MicroBatch = Annotated[
    int | None,
    typer.Option("--micro-batch", min=1, rich_help_panel=_MACHINE, help="Samples per forward pass and process."),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Say more: every job, every source.")]
PlanName = Annotated[str | None, typer.Option("--plan", help="Of this plan only, by its name.")]
TrackingUri = Annotated[
    str | None,
    typer.Option(
        "--tracking-uri",
        envvar="MLFLOW_TRACKING_URI",
        rich_help_panel=_MACHINE,
        help="MLflow server or database. [default: mlflow.db in the runs folder]",
    ),
]
DataRoot = Annotated[
    Path | None, typer.Option("--data", rich_help_panel=_MACHINE, help="Folder that holds the real data sets.")
]
RayAddress = Annotated[
    str | None,
    typer.Option("--ray-address", rich_help_panel=_MACHINE, help="An existing Ray. [default: one on this machine]"),
]
Runtime = Annotated[
    str,
    typer.Option(
        "--runtime",
        rich_help_panel=_MACHINE,
        help="What jobs run in: local (child processes), or containers: docker, podman, apptainer, pyxis.",
    ),
]
Memory = Annotated[
    int | None,
    typer.Option(
        "--memory",
        parser=quantity.of,
        metavar="SIZE",
        rich_help_panel=_MACHINE,
        help="Memory per job and node at most, such as 512m or 16g; not with local.",
    ),
]
DEFAULT_RUNS = Path("runs")
