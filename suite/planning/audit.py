"""What a plan's entries and variants must agree on with the catalogue and with each other.

Every finding is a pair (where, what): `("variants[2].arguments.lam", "must be a number, got 'high'.")`.
"""

import dataclasses
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from jobs.contract import PHASES, canonical
from suite.errors import unknown
from suite.planning.catalogue import Argument, Catalogue, Checked, Task, Variant
from suite.planning.description import Request
from suite.planning.plan import Choice, Entry, task_grid, values, variant_grid

Finding = tuple[str, str]
Check = Callable[[Catalogue, Request], Checked]

_LIMITS = (*PHASES, "heartbeat")
_KINDS: Mapping[str, tuple[tuple[type, ...], str]] = {
    "int": ((int,), "a whole number"),
    "float": ((int, float), "a number"),
    "bool": ((bool,), "true or false"),
    "str": ((str,), "a text"),
}


@dataclasses.dataclass(frozen=True)
class Trial:
    """One set of arguments to be tried out, and where the plan gives each of them."""

    where: str
    paths: Mapping[str, str]
    variant: str | None  # None: `given` is a task's whole setting, else the variant's arguments
    given: Mapping[str, Any]

    def path(self, problem: str) -> str:
        """The argument that the problem names, if it names exactly one that the plan gives."""
        named = [path for name, path in self.paths.items() if re.search(rf"\b{re.escape(name)}\b", problem)]
        return named[0] if len(named) == 1 else self.where


@dataclasses.dataclass(frozen=True)
class Audit:
    """The parts of a plan that have the right form, by their position in the file."""

    entries: Mapping[int, Entry]
    choices: Mapping[int, Choice]
    catalogue: Catalogue

    def findings(self, check: Check) -> list[Finding]:
        """Everything wrong with names and values; what passes is then tried out by `check`."""
        found = [*self._names(), *self._circles()]
        for index, entry in self.entries.items():
            found += _prefixed(f"tasks[{index}]", self._entry(entry))
        for index, choice in self.choices.items():
            found += _prefixed(f"variants[{index}]", self._choice(choice))
        wrong = {where.partition(".")[0] for where, _ in found}
        tried = [trial for trial in _trials(self) if trial.where not in wrong]
        return [*found, *_tried(tried, self.catalogue, check)]

    def _names(self) -> Iterator[Finding]:
        first: dict[str, int] = {}
        for index, entry in self.entries.items():
            if first.setdefault(entry.name, index) != index:
                yield (
                    f"tasks[{index}].name",
                    f"{entry.name!r} is also tasks[{first[entry.name]}]; give each its own name.",
                )

    def _circles(self) -> Iterator[Finding]:
        upstream = {entry.name: entry.upstream for entry in self.entries.values()}
        for index, entry in self.entries.items():
            path, following = [entry.name], entry.upstream
            while following is not None and following in upstream and following not in path:
                path.append(following)
                following = upstream[following]
            if following == entry.name:
                yield f"tasks[{index}].upstream", f"starts from itself: {' <- '.join([*path, entry.name])}."

    def _entry(self, entry: Entry) -> Iterator[Finding]:
        names = {other.name for other in self.entries.values()}
        if entry.upstream is not None and entry.upstream not in names:
            yield "upstream", unknown("entry", entry.upstream, names - {entry.name})
        for phase in entry.limits_s.keys() - set(_LIMITS):
            yield f"limits_s.{phase}", unknown("phase", phase, _LIMITS)
        task = self.catalogue.tasks.get(entry.task)
        if task is None:
            yield "task", unknown("task", entry.task, self.catalogue.tasks)
            return
        yield from _data(entry, task)
        if entry.engine not in task.engines:
            yield "engine", _not_among(entry.engine, task.engines)
        yield from _prefixed("arguments", _arguments(entry.arguments, task))
        yield from _missing(entry.arguments, task)

    def _choice(self, choice: Choice) -> Iterator[Finding]:
        for task in choice.per_task.keys() - self.catalogue.tasks.keys():
            yield f"per_task.{task}", unknown("task", task, self.catalogue.tasks)
        if choice.name in self.catalogue.broken:
            return  # its arguments are unknown; its jobs become failed rows
        variant = self.catalogue.variants.get(choice.name)
        if variant is None:
            yield "name", unknown("variant", choice.name, self.catalogue.variants)
            return
        yield from _prefixed("arguments", _arguments(choice.arguments, variant))
        for task, given in choice.per_task.items():
            yield from _prefixed(f"per_task.{task}", _arguments(given, variant))
        for task in {entry.task for entry in self.entries.values()} or {""}:
            yield from _missing({**choice.arguments, **choice.per_task.get(task, {})}, variant)


def _prefixed(where: str, findings: Iterable[Finding]) -> list[Finding]:
    return [(f"{where}.{inner}", what) for inner, what in findings]


def _data(entry: Entry, task: Task) -> Iterator[Finding]:
    data = task.data.get(entry.data or task.default_data)
    if data is None:
        yield "data", unknown(f"data set of task {task.name}", entry.data, task.data)
        return
    for split in entry.splits:
        if split is not None and split not in data.splits:
            yield "split", unknown(f"split of {data.name}", split, data.splits)
    if not entry.splits:
        yield "split", "is an empty list, which stands for no job; give at least one value."


def _arguments(given: Mapping[str, Any], owner: Task | Variant) -> Iterator[Finding]:
    for name, value in given.items():
        argument = owner.arguments.get(name)
        if argument is None:
            yield name, unknown(f"argument of {owner.name}", name, owner.arguments)
            continue
        alternatives = values(value, argument)
        if not alternatives:
            yield name, "is an empty list, which stands for no job; give at least one value."
        yield from ((name, problem) for one in alternatives if (problem := mistyped(one, argument)))


def _not_among(value: object, choices: Sequence[object]) -> str:
    return f"must be one of {', '.join(map(str, choices))}, got {value!r}."


def mistyped(value: object, argument: Argument) -> str | None:
    """Why `value` cannot be of the argument's type; None if it can, or if only the code itself can tell."""
    if isinstance(value, float) and not math.isfinite(value):
        return f"must be a finite number, got {value}."
    if argument.choices:
        return None if value in argument.choices else _not_among(value, argument.choices)
    parts = [part.strip() for part in argument.type.split("|")]
    if (value is None and "None" in parts) or not all(part in _KINDS or part == "None" for part in parts):
        return None
    kinds = [_KINDS[part] for part in parts if part != "None"]
    if any(type(value) in types for types, _ in kinds):
        return None
    return f"must be {' or '.join(words for _, words in kinds)}, got {value!r}."


def _missing(given: Mapping[str, Any], owner: Task | Variant) -> Iterator[Finding]:
    for name, argument in owner.arguments.items():
        if argument.required and name not in given:
            yield f"arguments.{name}", f"is required: {owner.name} has no default for it."


def _trials(audit: Audit) -> Iterator[Trial]:
    """Every set of arguments that the jobs of this plan would be given."""
    known = [(i, entry) for i, entry in audit.entries.items() if entry.task in audit.catalogue.tasks]
    for index, entry in known:
        task = audit.catalogue.tasks[entry.task]
        split = next(iter(entry.splits), None)
        setting = {"task": entry.task, "data": entry.data or task.default_data, "split": split}
        paths = {name: f"tasks[{index}].arguments.{name}" for name in entry.arguments}
        for arguments in task_grid(entry, audit.catalogue):
            yield Trial(f"tasks[{index}]", paths, None, {**setting, "arguments": arguments})
    for index, choice in audit.choices.items():
        for name in dict.fromkeys(entry.task for _, entry in known) if choice.name in audit.catalogue.variants else ():
            paths = {key: f"variants[{index}].arguments.{key}" for key in choice.arguments}
            paths |= {key: f"variants[{index}].per_task.{name}.{key}" for key in choice.per_task.get(name, {})}
            for arguments in variant_grid(choice, name, audit.catalogue):
                yield Trial(f"variants[{index}]", paths, choice.name, arguments)


def _tried(trials: Sequence[Trial], catalogue: Catalogue, check: Check) -> list[Finding]:
    """What variants and tasks themselves say about their arguments."""
    variants = [trial for trial in trials if trial.variant is not None]
    tasks = [trial for trial in trials if trial.variant is None]
    unique = {canonical({"of": trial.variant, **trial.given}): trial for trial in variants}
    request = Request(
        tuple((str(trial.variant), trial.given) for trial in unique.values()), tuple(trial.given for trial in tasks)
    )
    checked = check(catalogue, request)
    said = dict(zip(unique, checked.variants, strict=True))
    findings = [(trial, said[canonical({"of": trial.variant, **trial.given})]) for trial in variants]
    findings += zip(tasks, checked.tasks, strict=True)
    return list(dict.fromkeys((trial.path(problem), problem) for trial, problem in findings if problem is not None))
