"""Rows -> Board: grouped by task and setting, compared to the baseline, sorted and, where it is allowed, ranked."""

import dataclasses
import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from suite.leaderboard import versions
from suite.leaderboard.fairness import Ledger, ledger
from suite.leaderboard.published import Published, published
from suite.leaderboard.rows import Metric, Row, Trial, read
from suite.leaderboard.statistics import (
    DIRECTIONS,
    SEEDS_TO_RANK,
    Comparison,
    Estimate,
    compare,
    corrected,
    estimate,
    noise_floor,
)
from suite.planning.labels import plain
from suite.planning.manifest import Manifest


@dataclasses.dataclass(frozen=True, kw_only=True)
class Entry:
    """A row and what its seeds allow one to say about it."""

    row: Row
    estimate: Estimate | None  # of the primary metric
    comparison: Comparison | None  # None for the baseline itself
    rank: int | None
    unranked: str | None  # why it has no rank: one sentence
    ledger: Ledger | None  # its cost over the baseline's; None where there is no baseline


@dataclasses.dataclass(frozen=True, kw_only=True)
class Setting:
    """One group of comparable rows: the baseline first, then the best."""

    label: str
    entries: tuple[Entry, ...]
    mixed: str | None = None  # that its results come from several versions of the data or of the code, and what to do
    noise: float | None = None  # how far a seed alone moves a result
    machines: tuple[str, ...] = ()  # the kinds of devices that its results come from
    published: tuple[Published, ...] = ()  # what papers report for such a setting; never ours

    @property
    def baseline(self) -> Entry | None:
        return next((entry for entry in self.entries if entry.row.is_baseline), None)

    def by_name(self) -> dict[str, Entry]:
        """By the variant's name alone, with its arguments only where this setting has it with several."""
        times = Counter(entry.row.variant for entry in self.entries)
        return {entry.row.variant if times[entry.row.variant] == 1 else entry.row.name: entry for entry in self.entries}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Task:
    """Everything that was measured in one task."""

    name: str
    metric: Metric
    settings: tuple[Setting, ...]

    def entries(self) -> list[Entry]:
        return [entry for setting in self.settings for entry in setting.entries]

    def rows(self) -> list[Row]:
        return [entry.row for entry in self.entries()]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Board:
    """The leaderboard of one plan; plain data, so that it can be dumped as JSON."""

    name: str
    tier: str
    created: str
    headline: str  # what was compared, as one sentence
    counts: dict[str, int]  # of jobs, by status
    seeds: tuple[int, ...]
    commits: tuple[str, ...]
    dirty: bool  # at least one result comes from a checkout with uncommitted changes
    stale: int  # results whose data have changed since
    tasks: tuple[Task, ...]

    def entries(self) -> list[Entry]:
        return [entry for task in self.tasks for entry in task.entries()]

    def rows(self) -> list[Row]:
        return [entry.row for entry in self.entries()]


def build(runs: Path, manifest: Manifest) -> Board:
    """The board of a plan, from the files in `runs` alone."""
    return of(read(runs, manifest), manifest)


def of(rows: Sequence[Row], manifest: Manifest) -> Board:
    """The board of a plan's rows."""
    trials = [trial for row in rows for trial in row.trials]
    return Board(
        name=manifest.name,
        tier=manifest.tier,
        created=manifest.created,
        headline=_headline(rows, trials),
        counts=dict(sorted(Counter(trial.status for trial in trials).items())),
        seeds=tuple(sorted({trial.seed for trial in trials})),
        commits=tuple(sorted({trial.git_sha for trial in trials if trial.git_sha})),
        dirty=any(trial.dirty for trial in trials),
        stale=sum(trial.stale is not None for trial in trials),
        tasks=tuple(_task(group, manifest.tier) for group in _grouped(rows, lambda row: row.task)),
    )


def _grouped(rows: Iterable[Row], key: Callable[[Row], str]) -> list[list[Row]]:
    """Groups in the order in which they first appear."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(key(row), []).append(row)
    return list(groups.values())


def _task(rows: Sequence[Row], tier: str) -> Task:
    groups = _grouped(rows, _place)
    labels = _told_apart([group[0] for group in groups])
    return Task(
        name=rows[0].task,
        metric=next((row.metric for row in rows if row.values()), rows[0].metric),
        settings=tuple(_setting(group, label, tier) for group, label in zip(groups, labels, strict=True)),
    )


def _place(row: Row) -> str:
    """What only comparable rows share: the setting, and what training starts from."""
    return json.dumps([row.setting, row.upstream], sort_keys=True)


def _told_apart(rows: Sequence[Row]) -> list[str]:
    """The labels of settings, one row of each given; those that share one also name the arguments that differ."""
    labels = []
    for row in rows:
        own = row.setting["arguments"]
        rivals = [other.setting["arguments"] for other in rows if other.label == row.label]
        differing = [name for name in sorted(own) if any(rival.get(name) != own[name] for rival in rivals)]
        labels.append(" ".join([row.label, *(f"{name}={plain(own[name])}" for name in differing)]))
    return labels


def _setting(rows: Sequence[Row], label: str, tier: str) -> Setting:
    baseline = next((row for row in rows if row.is_baseline), None)
    mixed = versions.mixed(rows)
    comparisons = corrected([_compared(row, baseline) for row in rows], better=rows[0].metric.better)
    pairs = zip(rows, comparisons, strict=True)
    judged = (
        Entry(
            row=row,
            estimate=estimate(list(row.values().values())),
            comparison=comparison,
            rank=None,
            unranked=_unranked(comparison, tier, mixed),
            ledger=ledger(row, baseline),
        )
        for row, comparison in pairs
    )
    entries = sorted(judged, key=_order)
    rank, ranked = 0, []
    for entry in entries:
        if entry.unranked is None:
            rank += 1
            entry = dataclasses.replace(entry, rank=rank)
        ranked.append(entry)
    return Setting(
        label=label,
        entries=tuple(ranked),
        mixed=mixed,
        noise=noise_floor([list(row.values().values()) for row in rows]),
        machines=tuple(sorted(set().union(*(row.machines() for row in rows)))),
        published=published(rows[0].setting),
    )


def _compared(row: Row, baseline: Row | None) -> Comparison | None:
    if row.is_baseline:
        return None
    return compare(row.values(), baseline=versions.comparable(baseline, row), better=row.metric.better)


def _unranked(comparison: Comparison | None, tier: str, mixed: str | None) -> str | None:
    if comparison is None:
        return "It is what the others are compared to."
    if mixed is not None:
        return "Its setting mixes results of several versions."
    if tier != "ranked":
        return f"Results of the {tier} tier are shown and not ranked."
    shared = comparison.estimate.n if comparison.estimate else 0
    if shared < SEEDS_TO_RANK:
        return f"It shares {shared} finished seeds with the baseline; a rank needs {SEEDS_TO_RANK}."
    return None


def _order(entry: Entry) -> tuple[bool, int, float, str]:
    """Baseline, then the largest gain, then rows without a difference by their mean, then rows without numbers."""
    sign = DIRECTIONS[entry.row.metric.better]
    gain = entry.comparison.estimate if entry.comparison else None
    number = gain or entry.estimate
    kind = 0 if gain else 1 if number else 2
    return not entry.row.is_baseline, kind, -sign * number.mean if number else 0.0, entry.row.name


def _headline(rows: Sequence[Row], trials: Sequence[Trial]) -> str:
    variants, tasks = {row.variant for row in rows}, {row.task for row in rows}
    settings = {_place(row) for row in rows}
    where = _counted(len(tasks), "task")
    if len(settings) > len(tasks):
        where += f" ({_counted(len(settings), 'setting')})"
    seeds = _counted(len({trial.seed for trial in trials}), "seed")
    return f"{_counted(len(variants), 'variant')} compared in {where} on {seeds}: {outcome(trials)}."


def outcome(trials: Sequence[Trial]) -> str:
    """`48 jobs, 44 finished, 2 failed, 2 skipped`; `none failed` is said out loud."""
    status = Counter(trial.status for trial in trials)
    parts = [_counted(len(trials), "job"), f"{status['ok']} finished", f"{status['failed'] or 'none'} failed"]
    return ", ".join(parts + [f"{status[name]} {name}" for name in ("blocked", "skipped", "pending") if status[name]])


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
