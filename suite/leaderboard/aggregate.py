"""Over all settings of a board: performance profiles and the area below them, and the front of quality and cost.

A variant's ratio in a setting is the best mean over its own, or the other way round where lower is better: 1 for the
best, infinite where it has no number. Its profile at tau is the share of settings in which its ratio is at most tau;
the area below it up to TAU, as a share, is the score: 1 for what is best everywhere.

Source: Dolan, Moré, "Benchmarking optimization software with performance profiles", 2002.
"""

import dataclasses
import math
from collections.abc import Sequence
from statistics import fmean

from suite.leaderboard.board import Board, Entry, Setting

TAU = 1.5
"""Beyond it a variant counts as beaten: two thirds of the best accuracy, one and a half times the best perplexity."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Standing:
    """A variant over all settings."""

    name: str
    variant: str
    ratios: tuple[float, ...]  # one for each setting, inf where it has no number
    verdicts: tuple[str, ...]  # of the settings in which it is compared to the baseline

    @property
    def score(self) -> float:
        """The area below the profile between 1 and TAU, in [0, 1]."""
        return fmean(max(0.0, (TAU - ratio) / (TAU - 1)) for ratio in self.ratios)

    @property
    def settings(self) -> int:
        return sum(math.isfinite(ratio) for ratio in self.ratios)

    def profile(self) -> list[tuple[float, float]]:
        """Corners (tau, share of settings) of the step function from 1 to TAU."""
        corners = sorted({1.0, TAU, *(ratio for ratio in self.ratios if ratio < TAU)})
        return [(tau, sum(ratio <= tau for ratio in self.ratios) / len(self.ratios)) for tau in corners]


def standings(board: Board) -> list[Standing]:
    """Every variant, the highest score first."""
    settings = [setting for task in board.tasks for setting in task.settings]
    rows = [setting.by_name() for setting in settings]
    found = []
    for name in dict.fromkeys(name for row in rows for name in row):
        entries = [row.get(name) for row in rows]
        own = [entry for entry in entries if entry is not None]
        ratios = tuple(_ratio(entry, setting) for entry, setting in zip(entries, settings, strict=True))
        verdicts = tuple(entry.comparison.verdict for entry in own if entry.comparison)
        found.append(Standing(name=name, variant=own[0].row.variant, ratios=ratios, verdicts=verdicts))
    return sorted(found, key=lambda standing: (-standing.score, standing.name))


def _ratio(entry: Entry | None, setting: Setting) -> float:
    means = [other.estimate.mean for other in setting.entries if other.estimate]
    if entry is None or entry.estimate is None:
        return math.inf
    value = entry.estimate.mean
    if entry.row.metric.better == "higher":
        return max(means) / value if value > 0 else math.inf
    return value / min(means) if min(means) > 0 else 1.0 if value == min(means) else math.inf


def front(points: Sequence[tuple[float, float]], *, better: str) -> list[bool]:
    """Which (cost, quality) points no other one beats: none is at most as costly and at least as good, and differs."""
    sign = 1 if better == "higher" else -1
    return [
        not any(c <= cost and sign * q >= sign * quality and (c, q) != (cost, quality) for c, q in points)
        for cost, quality in points
    ]
