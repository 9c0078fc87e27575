"""The board as text: Markdown for people, CSV and JSON for programs."""

import csv
import dataclasses
import io
import json
from typing import Any

from suite.leaderboard import cost, wording
from suite.leaderboard.aggregate import TAU, standings
from suite.leaderboard.board import Board, Entry, Setting, Task
from suite.leaderboard.fairness import QUANTITIES
from suite.leaderboard.rows import Row
from suite.planning.labels import PROFILE

COLUMNS = (
    *("task", "setting", "variant", "arguments", "rank", "verdict", "metric", "unit", "better"),
    *("seeds_finished", "seeds_planned", "mean", "sd", "low", "high"),
    *("difference", "difference_low", "difference_high", "shared_seeds", "p", "p_holm", "detectable", "noise"),
    *(f"last_layer_{metric}" for metric in PROFILE),
    *("step_s", "peak_bytes", "parameters"),
    *(*(f"{name}_ratio" for name in QUANTITIES), "over"),
    *("wall_s", "predicted_s", "gpu_hours", "core_hours", "energy_j"),
    *("machines", "status", "reason", "job_ids"),
)

_HEAD = "| # | variant | {metric} | sd | difference to {baseline} | seeds | verdict |"
_RULE = "|--:|:--|--:|--:|--:|--:|:--|"


def markdown(board: Board) -> str:
    """A heading per task, a table per setting, and why rows are missing numbers."""
    head = [f"# {board.name}", "", board.headline, "", f"{standing(board)} {origin(board)}", ""]
    lines = [*head, *_foretold(board), *_across(board)]
    for task in board.tasks:
        lines += [f"## {task.name}", "", f"Metric: {wording.direction(task.metric)}; {wording.SPREAD}.", ""]
        lines += [line for setting in task.settings for line in _section(task, setting)]
    return "\n".join(lines)


def _foretold(board: Board) -> list[str]:
    """What the plan predicted, where that was kept."""
    says = wording.foretold(cost.foretold(board.rows()))
    return [f"Time of jobs: {says}.", ""] if says else []


def _across(board: Board) -> list[str]:
    """Every variant over all settings, where there are several."""
    if sum(len(task.settings) for task in board.tasks) < 2:
        return []
    rows = [
        f"| {_cell(one.name)} | {wording.number(one.score)} | {one.settings} of {len(one.ratios)}"
        f" | {one.verdicts.count('better')} | {one.verdicts.count('worse')} |"
        for one in standings(board)
    ]
    says = f"Score: the area below the performance profile up to {TAU} times the best mean; means alone."
    head = "| variant | score | settings with a number | better | worse |"
    return ["## Across settings", "", says, "", head, "|:--|--:|--:|--:|--:|", *rows, ""]


def standing(board: Board) -> str:
    """How far the numbers may be trusted."""
    if board.tier == "ranked":
        return "Rows are ranked by their paired difference to the baseline."
    return f"**{board.tier.capitalize()} results: shown, not ranked.**"


def origin(board: Board) -> str:
    """Which code the numbers come from."""
    commits = ", ".join(commit[:10] for commit in board.commits) or "unknown"
    dirty = ", with uncommitted changes" if board.dirty else ""
    stale = f" {board.stale} results are of data that have changed since." if board.stale else ""
    return f"Commit {commits}{dirty}; plan written {board.created}.{stale}"


def _section(task: Task, setting: Setting) -> list[str]:
    baseline = setting.baseline.row.name if setting.baseline else "the baseline"
    mixed = [f"**{setting.mixed}**", ""] if setting.mixed else []
    head = [
        f"### {setting.label}",
        "",
        *mixed,
        _HEAD.format(metric=wording.axis(task.metric), baseline=_cell(baseline)),
        _RULE,
    ]
    rows = ["| " + " | ".join(map(_cell, _cells(entry))) + " |" for entry in setting.entries]
    says = [(entry.row.name, *wording.reasons(entry), wording.costlier(entry)) for entry in setting.entries]
    notes = [f"- {name}: {reason}" for name, *found in says for reason in found if reason]
    said = [f"- As published, not ours: {wording.quoted(line)}" for line in setting.published]
    told = filter(None, (wording.noise(setting), wording.machines(setting)))
    about = [line for words in told for line in (f"{words}.", "")]
    return [*head, *rows, "", *about, *notes, *said, *([""] if notes or said else [])]


def _cells(entry: Entry) -> list[str]:
    difference = entry.comparison.estimate if entry.comparison else None
    compared = f"{wording.signed(difference.mean)} {wording.interval(difference)}".rstrip() if difference else "–"
    rank = str(entry.rank or "–")
    numbers = [wording.mean(entry.estimate), wording.deviation(entry.estimate), compared]
    return [rank, entry.row.name, *numbers, wording.seeds(entry), wording.verdict(entry)]


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def comma_separated(board: Board) -> str:
    """One line per row, unrounded numbers, COLUMNS as its head."""
    file = io.StringIO()
    writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for task in board.tasks:
        for setting in task.settings:
            writer.writerows(_record(entry, setting) for entry in setting.entries)
    return file.getvalue()


def _record(entry: Entry, setting: Setting) -> dict[str, object]:
    row, comparison = entry.row, entry.comparison
    difference = comparison.estimate if comparison else None
    record: dict[str, object] = {
        "task": row.task,
        "setting": setting.label,
        "variant": row.variant,
        "arguments": json.dumps(row.arguments, sort_keys=True),
        "rank": entry.rank,
        "verdict": wording.verdict(entry),
        "metric": row.metric.name,
        "unit": row.metric.unit,
        "better": row.metric.better,
        "seeds_finished": len(row.values()),
        "seeds_planned": len(row.trials),
        "noise": setting.noise,
        "machines": "; ".join(sorted(row.machines())),
        "status": wording.ending(entry),
        "reason": " ".join([*wording.reasons(entry), *([setting.mixed] if setting.mixed else [])]),
        "job_ids": " ".join(trial.id for trial in row.trials),
    }
    if entry.estimate:
        record |= {key: getattr(entry.estimate, key) for key in ("mean", "sd", "low", "high")}
    if comparison:
        record |= {"p": comparison.p, "p_holm": comparison.adjusted, "detectable": comparison.detectable}
    if difference:
        record |= {"difference": difference.mean, "difference_low": difference.low}
        record |= {"difference_high": difference.high, "shared_seeds": difference.n}
    record |= {f"last_layer_{metric}": row.last_layer(metric) for metric in PROFILE}
    return record | _cost(row) | _ledger(entry)


def _cost(row: Row) -> dict[str, float | None]:
    """Means over seeds of what a job took, sums of hours and energy; energy where it is known of all of them."""
    found, expected = cost.spent([row]), cost.foretold([row])
    record = {name: row.cost(name) for name in ("step_s", "peak_bytes", "parameters", "wall_s")}
    record["predicted_s"] = expected.predicted_s / expected.jobs if expected else None
    if found:
        record |= {"gpu_hours": found.gpu_h, "core_hours": found.core_h}
        record["energy_j"] = found.energy_j if found.metered == found.jobs else None
    return record


def _ledger(entry: Entry) -> dict[str, object]:
    """Multiples of the baseline's cost, and those of them that exceed it by more than a tenth on every seed."""
    found = entry.ledger
    if found is None:
        return {}
    return {f"{name}_ratio": getattr(found, name) for name in QUANTITIES} | {"over": " ".join(found.over)}


def document(board: Board) -> str:
    """The whole board as JSON, each dataclass an object with the same field names."""
    return json.dumps(board, default=_fields, ensure_ascii=False, allow_nan=False) + "\n"


def _fields(record: Any) -> dict[str, Any]:
    """Of a dataclass, but for what a reader of the board has no use for."""
    kept = (field.name for field in dataclasses.fields(record) if field.metadata.get("dumped", True))
    return {name: getattr(record, name) for name in kept}
