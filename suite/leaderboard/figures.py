"""What the page's charts show, as plain data: over-smoothing by layer, the metric by depth, quality against cost."""

import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from suite.leaderboard import cost, wording
from suite.leaderboard.aggregate import front, standings
from suite.leaderboard.board import Board, Entry, Setting, Task


def charts(board: Board) -> dict[str, Any]:
    """JSON for the page: the variants' order (it fixes their colours) and per task its curves and its sweep."""
    order = list(dict.fromkeys(entry.row.variant for entry in board.entries()))
    return {
        "variants": sorted(order, key=lambda name: (not _is_baseline(board, name), name)),
        "tasks": {
            task.name: {
                "axis": wording.axis(task.metric),
                "profiles": profiles(task),
                "sweep": sweep(task),
                "costs": costs(task),
            }
            for task in board.tasks
        },
        "standings": [
            {"variant": one.variant, "name": one.name} | dict(zip("xy", zip(*one.profile(), strict=True), strict=True))
            for one in standings(board)
        ],
    }


def _is_baseline(board: Board, variant: str) -> bool:
    return any(entry.row.is_baseline for entry in board.entries() if entry.row.variant == variant)


def profiles(task: Task) -> list[dict[str, Any]]:
    """One item per line that can be drawn; the page chooses setting, stack, site and metric.

    Most of a page's bytes are here: four digits are more than can be seen, and layers are told where they skip one.
    """
    return [
        {
            "setting": setting.label,
            "stack": curve.stack,
            "site": curve.site,
            "metric": curve.metric,
            "variant": entry.row.variant,
            "name": entry.row.name,
            "x": None if curve.layers == tuple(range(len(curve.layers))) else curve.layers,
            "y": [float(f"{value:.4g}") for value in curve.values],
        }
        for setting in task.settings
        for entry in setting.entries
        for curve in entry.row.profile
    ]


def costs(task: Task) -> list[dict[str, Any]]:
    """One point per row with a number, and kind of cost that it states; `front`: no other is cheaper and better."""
    return [
        point
        for setting in task.settings
        for against, cost_of in _kinds(setting).items()
        for point in _points(setting, against, cost_of, better=task.metric.better)
    ]


def _kinds(setting: Setting) -> dict[str, Callable[[Entry], float | None]]:
    """What quality is held against, in words, and what it is of a row: of one job, the mean over seeds."""
    return {
        "step time / baseline's": lambda entry: entry.ledger.step_s if entry.ledger else None,
        "GPU-hours of a job": lambda entry: _per_job(entry, "gpu_h"),
        "core-hours of a job": lambda entry: _per_job(entry, "core_h"),
        "peak memory [GB]": lambda entry: (entry.row.cost("peak_bytes") or 0.0) / 1e9,
        "energy of a job [Wh]": lambda entry: (entry.row.cost("energy_j") or 0.0) / 3600,
    }


def _per_job(entry: Entry, field: str) -> float | None:
    found = cost.spent([entry.row])
    return getattr(found, field) / found.jobs if found else None


def _points(
    setting: Setting, against: str, cost_of: Callable[[Entry], float | None], *, better: str
) -> Iterator[dict[str, Any]]:
    known = [(entry, entry.estimate, cost_of(entry)) for entry in setting.entries]
    stated = [(entry, estimate, price) for entry, estimate, price in known if estimate and price]
    on_front = front([(price, estimate.mean) for _, estimate, price in stated], better=better)
    for (entry, estimate, price), undominated in zip(stated, on_front, strict=True):
        yield {
            "setting": setting.label,
            "against": against,
            "variant": entry.row.variant,
            "name": entry.row.name,
            "x": [float(f"{price:.4g}")],
            "y": [round(estimate.mean, 6)],
            "sd": [round(estimate.sd or 0.0, 6)],
            "front": undominated,
        }


def sweep(task: Task) -> dict[str, Any] | None:
    """Metric against the numeric argument that differs between settings (the depth); None where none does."""
    argument = _swept(task)
    if argument is None:
        return None
    lines: dict[tuple[str, str], list[Entry]] = defaultdict(list)
    for entry in task.entries():
        if entry.estimate is not None:
            lines[_elsewhere(entry, argument), entry.row.name].append(entry)
    series = [_line(entries, argument) for entries in lines.values()]
    return {"argument": argument, "metric": wording.axis(task.metric), "lines": series}


def _swept(task: Task) -> str | None:
    values: dict[str, set[float]] = defaultdict(set)
    for setting in task.settings:
        for key, value in setting.entries[0].row.setting["arguments"].items():
            if isinstance(value, int | float) and not isinstance(value, bool):
                values[key].add(value)
    moving = {key: len(seen) for key, seen in values.items() if len(seen) > 1}
    return max(moving, key=lambda key: (key == "depth", moving[key]), default=None)


def _elsewhere(entry: Entry, argument: str) -> str:
    """Everything about a setting but the swept argument: what a line must not cross."""
    fixed = {**entry.row.setting, "upstream": entry.row.upstream}
    return repr(sorted({**fixed, "arguments": _without(entry.row.setting["arguments"], argument)}.items()))


def _without(arguments: Mapping[str, Any], argument: str) -> list[tuple[str, Any]]:
    return sorted(item for item in arguments.items() if item[0] != argument)


def _line(entries: list[Entry], argument: str) -> dict[str, Any]:
    stated = [(entry.row.setting["arguments"][argument], entry.estimate) for entry in entries if entry.estimate]
    points = sorted(stated, key=lambda point: point[0])
    row = entries[0].row
    return {
        "place": re.sub(rf"\s*\b{re.escape(argument)}=\S+", "", row.label),
        "variant": row.variant,
        "name": row.name,
        "x": [x for x, _ in points],
        "y": [round(estimate.mean, 6) for _, estimate in points],
        "sd": [round(estimate.sd or 0.0, 6) for _, estimate in points],
        "n": [estimate.n for _, estimate in points],
    }
