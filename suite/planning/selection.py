"""Which jobs of a plan are meant: the patterns of `--select` and `--exclude`.

graph-deep            any of: task, plan entry, data set, engine, variant, label, name, id; * ? [abc] as in a shell
neutreno[lam=0.6]     a variant, entry or task with this argument; `lam=0.4,0.6` either value; `lam=0.6,x=1` both
graph*/*/neutreno/*   the whole name, entry/data/variant/seed, with the variant's arguments or without
"""

import dataclasses
import fnmatch
import re
from collections.abc import Mapping, Sequence
from typing import Protocol


@dataclasses.dataclass(frozen=True)
class Subject:
    """What patterns can see of one job."""

    texts: tuple[str, ...]
    arguments: Mapping[str, Mapping[str, str]]  # by variant, entry and task name: argument -> value as written


class Pattern(Protocol):
    """One parsed pattern."""

    def matches(self, subject: Subject) -> bool: ...


@dataclasses.dataclass(frozen=True)
class Glob:
    """A shell-style pattern over any of the texts."""

    regex: re.Pattern[str]

    def matches(self, subject: Subject) -> bool:
        return any(self.regex.match(text) for text in subject.texts)


@dataclasses.dataclass(frozen=True)
class WithArguments:
    """A name, and for each named argument the values that will do."""

    name: re.Pattern[str]
    wanted: Mapping[str, Sequence[str]]

    def matches(self, subject: Subject) -> bool:
        return any(
            all(
                key in given and any(_same(given[key], value) for value in values)
                for key, values in self.wanted.items()
            )
            for name, given in subject.arguments.items()
            if self.name.match(name)
        )


def parse(text: str) -> Pattern:
    """Read one pattern; every text is a valid one."""
    parts = re.fullmatch(r"([^\[\]/]*)\[([^\[\]]*=[^\[\]]*)\]", text)
    if parts is None:
        return Glob(_glob(text))
    return WithArguments(_glob(parts[1]), _wanted(parts[2]))


def _glob(text: str) -> re.Pattern[str]:
    literal = re.sub(r"\[(?=[^\]]*=)", "[[]", text)  # the bracket of an argument list is no character class
    return re.compile(fnmatch.translate(literal))


def _wanted(text: str) -> dict[str, list[str]]:
    wanted: dict[str, list[str]] = {}
    key = ""
    for piece in text.split(","):
        if "=" in piece:
            key, piece = piece.split("=", 1)
        wanted.setdefault(key.strip(), []).append(piece.strip())
    return wanted


def _same(given: str, wanted: str) -> bool:
    if fnmatch.fnmatchcase(given, wanted):
        return True
    try:
        return float(given) == float(wanted)
    except ValueError:
        return False
