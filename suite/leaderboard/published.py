"""Figures from papers, shown beside ours and never mixed with them: `results/reference/*.yaml` -> those of a setting.

A row of such a file names the data set, the model and the variant in words, in `like` the task arguments that a setting
of ours must share for the figures to stand beside it (those of its source hold too), and the figures by metric.
"""

import dataclasses
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from suite.leaderboard.rows import BASELINE
from suite.provenance import SOURCE_ROOT

REFERENCE = SOURCE_ROOT / "results" / "reference"
MARKS = {
    "seen": "read in the authors' own table or log",
    "second-hand": "quoted by somebody else",
    "recalled": "from memory: check it before you quote it",
}
_WORDS = ("data", "model", "variant", "like", "protocol")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Published:
    """One line of a paper's table."""

    model: str
    variant: str
    figures: Mapping[str, float]
    source: str
    mark: str  # one of MARKS
    protocol: str | None = None
    data: str
    like: Mapping[str, Any]

    def beside(self, setting: Mapping[str, Any]) -> bool:
        """Whether it is of this data set, and of a model like the setting's."""
        arguments = setting["arguments"]
        return self.data == setting["data"] and all(arguments.get(name) == value for name, value in self.like.items())

    def concerns(self, variant: str) -> bool:
        """Whether our variant is the one it names: `jumping knowledge` is `jumping_knowledge`, `none` is `softmax`."""
        name = "".join(letter for letter in self.variant.lower() if letter.isalnum())
        return (BASELINE if name == "none" else name) == variant.replace("_", "")


def published(setting: Mapping[str, Any]) -> tuple[Published, ...]:
    """What papers report for a setting, in the files' order; nothing where the files do not come along."""
    return tuple(line for line in _lines(REFERENCE) if line.beside(setting))


@cache
def _lines(folder: Path) -> tuple[Published, ...]:
    return tuple(line for path in sorted(folder.glob("*.yaml")) for line in read(path))


def read(path: Path) -> list[Published]:
    """The lines of one file; a row whose figures are lists is a line for each of the source's `depths`."""
    return [
        line
        for source in yaml.safe_load(path.read_text(encoding="utf-8"))
        for row in source["rows"]
        for line in _expanded(source, row)
    ]


def _expanded(source: Mapping[str, Any], row: Mapping[str, Any]) -> list[Published]:
    figures = {name: value for name, value in row.items() if name not in _WORDS}
    common = {
        name: row.get(name, source.get(name)) for name in ("data", "model", "variant", "protocol", "source", "mark")
    }
    like = source.get("like", {}) | row.get("like", {})
    if not any(isinstance(value, list) for value in figures.values()):
        return [Published(**common, figures=figures, like=like)]
    return [
        Published(**common, figures={name: values[i] for name, values in figures.items()}, like=like | {"depth": depth})
        for i, depth in enumerate(source["depths"])
    ]
