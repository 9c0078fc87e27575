"""What lies where in MLflow: tags, names and descriptions; pure, without MLflow.

    experiment unsmooth/<task>          parent run, one per row: means over its seeds
                                          child run, one per job: parameters, data set, curves, costs, profile, files
    experiment unsmooth/leaderboard     one run per plan and runs folder, the board's files as artefacts

Tags say what a run is: of which job (`unsmooth.job_id`), of which row (`unsmooth.row`), with which result
(`unsmooth.result`), and for which runs folders it stands (`unsmooth.runs.<id of the folder>`). MLflow does not keep
tags unique, so whoever has written looks who else has: of equal runs the one with the smallest run id stays.
"""

import os
import uuid
from collections.abc import Iterable, Sequence
from pathlib import Path

from jobs.contract import read_json, write_json

JOB, ROW, BOARD, RESULT = "unsmooth.job_id", "unsmooth.row", "unsmooth.board", "unsmooth.result"
RECORDED = "unsmooth.recorded"
"""Written last: the digest of what a run holds, or of a parent's children. A run without it is not whole."""

PARENT = "mlflow.parentRunId"

PRIMARY, SPREAD, SEEDS = "board/primary", "board/sd", "board/seeds"
"""What compares variants, under one name in every experiment; MLflow draws sections of charts by the alphabet."""

LEADERBOARD = "unsmooth/leaderboard"

SHORT = 12
"""Characters of a result's digest in a parent's tag, which thereby names several hundred children."""


def identity(runs: Path) -> str:
    """The id of a runs folder, made up once and kept in it: it stays the same when the folder moves."""
    path = runs / ".id"
    if not path.exists():
        aside = runs / f".id.{uuid.uuid4().hex}"
        write_json(aside, {"id": uuid.uuid4().hex})
        try:
            os.link(aside, path)  # on a shared disk another machine may be at it too: the first one counts
        except FileExistsError:
            pass
        finally:
            aside.unlink()
    return str(read_json(path)["id"])


def holder(runs: Path) -> str:
    """The tag that says: this run stands for something in this runs folder."""
    return f"unsmooth.runs.{identity(runs)}"


def holders(tags: Iterable[str]) -> set[str]:
    """Those of the tags that name runs folders."""
    return {tag for tag in tags if tag.startswith("unsmooth.runs.")}


def tagged(key: str, value: str) -> str:
    """A filter of MLflow's search.

    >>> tagged("unsmooth.job_id", "3f9a")
    "tags.`unsmooth.job_id` = '3f9a'"
    """
    return f"tags.`{key}` = '{value}'"


def covering(digests: Sequence[str]) -> str:
    """What a parent's `unsmooth.recorded` says: the results that its means are taken over.

    >>> covering(["b" * 64, "a" * 64])
    'aaaaaaaaaaaa bbbbbbbbbbbb'
    """
    return " ".join(sorted({digest[:SHORT] for digest in digests}))


def experiment_note(task: str) -> str:
    """The description of a task's experiment."""
    return (
        f"Results of the task **{task}**, copied from job folders by `unsmooth record`.\n\n"
        "- A row of the table is a variant in a setting; open it for its seeds.\n"
        f"- `{PRIMARY}` is the metric that the board compares (which one: tag `unsmooth.primary`); on a row it is the "
        f"mean over seeds, `{SPREAD}` the standard deviation, `{SEEDS}` their number.\n"
        "- Chart view: bars compare variants. Select seeds to see curves over steps (`train/`, `val/`) and "
        "over-smoothing by layer (`profile/`, where the step is the layer).\n"
        "- Differences with confidence intervals and verdicts are on the board, in the experiment "
        f"`{LEADERBOARD}`."
    )


LEADERBOARD_NOTE = (
    "The boards. Each run is the board of one plan in one runs folder: open it and choose **Artifacts**, "
    "`leaderboard.html`. `leaderboard.csv` and `.json` hold the same numbers."
)


def board_note(plan: str, files: Sequence[Path], experiments: Sequence[tuple[str, str]]) -> str:
    """The description of a board's run; `experiments` are names and ids of what it was drawn from."""
    listed = ", ".join(f"`{file.name}`" for file in files)
    links = ", ".join(f"[{name}](#/experiments/{number}/runs)" for name, number in experiments)
    return (
        f"The leaderboard of the plan **{plan}**. Open **Artifacts** above; the files are {listed}.\n\n"
        "How to read it: means and standard deviations over seeds; the difference to the baseline is taken on the same "
        "seeds, with its 95% interval; a verdict allows for the number of variants tried (Holm).\n\n"
        f"Runs behind it: {links or 'none yet'}."
    )


def row_note(primary: str | None, seeds: int) -> str:
    """The description of a parent run."""
    measured = f"`{PRIMARY}` is {primary}. " if primary else ""
    return f"Means over {seeds} finished seed{'' if seeds == 1 else 's'}, which are nested below. {measured}" + (
        "`profile.png`, among the artifacts, shows over-smoothing by layer."
    )
