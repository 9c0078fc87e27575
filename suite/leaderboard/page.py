"""The board as one HTML file that needs no network: tables to sort, details to open, charts to read."""

import hashlib
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from plotly.offline import get_plotlyjs

from jobs.contract import file_sha256
from suite.leaderboard import cost, wording
from suite.leaderboard.aggregate import TAU, standings
from suite.leaderboard.board import Board, Entry, Task
from suite.leaderboard.drawers import drawers
from suite.leaderboard.fairness import MOST
from suite.leaderboard.figures import charts
from suite.leaderboard.statistics import VERDICTS

HERE = Path(__file__).parent
_SCRIPTS = ("theme", "tables", "drawers", "charts", "view")
_TRAITS = (*VERDICTS, "baseline", wording.COSTLIER, "failed", "blocked", "skipped", "pending")


def render(board: Board) -> str:
    """The whole page. Everything that comes from a job, log lines above all, is escaped by the template."""
    return (
        _environment()
        .get_template("page.html.jinja")
        .render(
            board=board,
            overview=overview(board),
            standings=standings(board),
            problems=[entry for entry in board.entries() if wording.ending(entry) != "ok"],
            charts=charts(board),
            drawers=drawers(board),
            traits=[trait for trait in _TRAITS if any(trait in wording.traits(entry) for entry in board.entries())],
            style=(HERE / "page.css").read_text(encoding="utf-8"),
            tau=TAU,
            most=MOST,
            generator=generator(),
            script="\n".join((HERE / f"{name}.js").read_text(encoding="utf-8") for name in _SCRIPTS),
            plotly=get_plotlyjs(),
        )
    )


@cache
def generator() -> str:
    """Who draws the page: a digest of all that decides how a board becomes one."""
    drawing = hashlib.sha256()
    for path in sorted(path for path in HERE.iterdir() if path.is_file()):
        drawing.update(f"{path.name}\0{file_sha256(path)}\n".encode())
    return f"Unsmooth {drawing.hexdigest()[:16]}"


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.policies["json.dumps_kwargs"] = {"separators": (",", ":")}
    environment.globals.update(words=wording, cost=cost, common=common)
    return environment


def overview(board: Board) -> dict[str, Any]:
    """Variants down, settings across: the table that answers the question at a glance."""
    columns = [(task, setting) for task in board.tasks for setting in task.settings]
    names: dict[str, list[Entry | None]] = {}
    for index, (_, setting) in enumerate(columns):
        for name, entry in setting.by_name().items():
            names.setdefault(name, [None] * len(columns))[index] = entry
    baseline = [name for name, entries in names.items() if any(entry and entry.row.is_baseline for entry in entries)]
    return {
        "columns": columns,
        "rows": {name: names[name] for name in [*baseline, *sorted(set(names) - set(baseline))]},
    }


def common(task: Task) -> list[str]:
    """The words that all settings of a task share are said once, in its heading: here is what is left of each."""
    words = [setting.label.removeprefix(task.name).split() for setting in task.settings]
    shared = set(words[0]).intersection(*words[1:]) if len(words) > 1 else set()
    return [" ".join(word for word in label if word not in shared) for label in words]
