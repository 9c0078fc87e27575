"""What a row's drawer on the page shows, as plain data in words: the page lays it out when the row is opened."""

from collections.abc import Callable, Iterable, Sequence
from statistics import fmean
from typing import Any

from suite.leaderboard import cost, wording
from suite.leaderboard.board import Board, Entry, Setting
from suite.leaderboard.rows import Trial
from suite.planning.labels import plain

_DIGITS = 12
"""Of a digest that are shown; the whole one is in the JSON beside the page."""


def drawers(board: Board) -> dict[str, Any]:
    """Settings, and by key the rows, which point to theirs."""
    settings = [setting for task in board.tasks for setting in task.settings]
    return {
        "settings": [_setting(setting) for setting in settings],
        "rows": {
            entry.row.key: _drawer(entry, setting) | {"setting": index}
            for index, setting in enumerate(settings)
            for entry in setting.entries
        },
    }


def _setting(setting: Setting) -> dict[str, Any]:
    stated = setting.entries[0].row.setting
    spec = [(key, value) for key, value in stated.items() if key not in ("arguments", "schema") and value is not None]
    spec += [(f"task.{key}", value) for key, value in stated["arguments"].items()]
    return {"label": setting.label, "spec": [(key, plain(value)) for key, value in spec]}


def _drawer(entry: Entry, setting: Setting) -> dict[str, Any]:
    row = entry.row
    spent = [cost.of_trial(trial, row) for trial in row.trials]
    judged = entry.comparison.note if entry.comparison else "The baseline."
    return {
        "note": f"{judged} {entry.unranked or ''}".rstrip(),
        "metric": wording.axis(row.metric),
        "failures": [_failure(trial) for trial in row.trials if trial.reason],
        "seeds": [_seed(trial, took) for trial, took in zip(row.trials, spent, strict=True)],
        "mean": _mean(entry, spent),
        "sum": _sum(spent, row.trials),
        "cost": _cost(entry),
        "provenance": [_provenance(trial) for trial in row.trials],
        "ours": f"{row.metric.name} {wording.mean(entry.estimate)}",
        "published": [wording.quoted(line) for line in setting.published if line.concerns(row.variant)],
        "arguments": [(f"variant.{key}", plain(value)) for key, value in row.arguments.items()],
    }


def _failure(trial: Trial) -> dict[str, Any]:
    ending = f"{trial.status} ({trial.failure})" if trial.failure else trial.status
    return {
        "what": f"Seed {trial.seed} {ending}.",
        "why": f"{trial.reason} {trial.advice or ''}".rstrip(),
        "log": "\n".join(trial.log_tail),
    }


def _seed(trial: Trial, took: cost.Spent | None) -> list[str]:
    """seed, metric, status, attempts, wall-clock, predicted, compute, memory, energy."""
    exit_code = f", exit {trial.exit_code}" if trial.exit_code is not None else ""
    ending = f"{trial.status} ({trial.failure}{exit_code})" if trial.failure else trial.status
    attempts = str(trial.attempts) if trial.attempts else "–"
    own = [str(trial.seed), wording.number(trial.value), ending, attempts]
    return [*own, *_costs([took], [trial], fmean)]


def _mean(entry: Entry, spent: Sequence[cost.Spent | None]) -> list[str]:
    value = entry.estimate.mean if entry.estimate else None
    return ["mean", wording.number(value), "", "", *_costs(spent, entry.row.trials, fmean)]


def _sum(spent: Sequence[cost.Spent | None], trials: Sequence[Trial]) -> list[str]:
    wall, predicted, compute, _, energy = _costs(spent, trials, sum)
    return ["sum", "", "", "", wall, predicted, compute, "", energy]


def _costs(
    spent: Iterable[cost.Spent | None], trials: Iterable[Trial], over: Callable[[list[float]], float]
) -> list[str]:
    """Wall-clock, predicted, compute, memory, energy, each over those that state it."""
    pairs = list(zip(spent, trials, strict=True))
    known = [one for one, _ in pairs if one]
    held = pairs if len(pairs) == 1 else [pair for pair in pairs if pair[0]]  # together only where both are known
    predicted = [trial.predicted.wall_s for _, trial in held if trial.predicted]
    peaks = [one.peak_bytes for one in known if one.peak_bytes is not None]
    energies = [one.energy_j for one in known if one.energy_j is not None]
    return [
        wording.duration(over([one.wall_s for one in known])) if known else "–",
        wording.duration(over(predicted)) if predicted else "–",
        wording.hours(over([one.gpu_h for one in known]), over([one.core_h for one in known])) if known else "–",
        wording.size(over(peaks)) if peaks else "–",
        wording.energy(over(energies)) if energies else "–",
    ]


def _cost(entry: Entry) -> str:
    """One sentence; how predictions came about is in it, and what stands beside the baseline's."""
    took, foretold = cost.spent([entry.row]), cost.foretold([entry.row])
    held = "" if entry.row.is_baseline else wording.ledger(entry.ledger)
    says = [wording.spent(took), wording.foretold(foretold, beside=took), held]
    return "; ".join(filter(None, says))


def _provenance(trial: Trial) -> dict[str, str | None]:
    mark = ["uncommitted changes"] * trial.dirty + ([f"stale: {trial.stale}"] if trial.stale else [])
    return {
        "seed": str(trial.seed),
        "job": trial.id,
        "commit": trial.git_sha[:_DIGITS] if trial.git_sha else "–",
        "mark": ", ".join(mark),
        "device": trial.machine or "–",
        "data": _short(trial.data),
        "files": _short(trial.files),
        "rerun": trial.rerun,
    }


def _short(digest: str | None) -> str:
    return digest.removeprefix("sha256:")[:_DIGITS] if digest else "–"
