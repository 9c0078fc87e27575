"""What the page's charts show, as plain data: over-smoothing against the layer, and the metric against the depth."""

import re
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from suite.leaderboard import wording
from suite.leaderboard.aggregate import front, standings
from suite.leaderboard.board import Board, Entry, Task


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
    """One item per line that can be drawn; the page chooses setting, stack, site and metric."""
    return [
        {
            "setting": setting.label,
            "stack": curve.stack,
            "site": curve.site,
            "metric": curve.metric,
            "variant": entry.row.variant,
            "name": entry.row.name,
            "x": curve.layers,
            "y": [round(value, 6) for value in curve.values],
        }
        for setting in task.settings
        for entry in setting.entries
        for curve in entry.row.profile
    ]


def costs(task: Task) -> list[dict[str, Any]]:
    """One point per row with a number and a step time; `front` where no other row is both cheaper and better."""
    points = []
    for setting in task.settings:
        known = [
            (entry, times, entry.estimate.mean)
            for entry in setting.entries
            if entry.estimate and (times := setting.slowdown(entry))
        ]
        on_front = front([(times, mean) for _, times, mean in known], better=task.metric.better)
        points += [
            {
                "setting": setting.label,
                "variant": entry.row.variant,
                "name": entry.row.name,
                "x": [round(times, 4)],
                "y": [round(mean, 6)],
                "sd": [round(entry.estimate.sd or 0.0, 6) if entry.estimate else 0.0],
                "front": undominated,
            }
            for (entry, times, mean), undominated in zip(known, on_front, strict=True)
        ]
    return points


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
