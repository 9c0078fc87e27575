"""Say in JSON what variants and tasks there are: `python -m jobs.describe [--variant-file FILE]...`.

Planning imports no torch; it reads this. Standard input may hold a request whose arguments are then checked by
building each variant on a tiny layer and each task:
{"variants": [{"name", "arguments"}], "tasks": [{"task", "data", "split", "arguments"}]}.
"""

import argparse
import dataclasses
import inspect
import json
import sys
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jobs import registry
from jobs.api import Layer, Task, Variant
from jobs.contract import SCHEMA, file_sha256
from jobs.errors import VariantError

_ROOT = Path(__file__).parent.parent
_TINY = (
    Layer(index=0, depth=2, width=8, heads=2, causal=False),
    Layer(index=0, depth=2, width=8, heads=1, causal=False, graph=True),
)
"""A transformer's and a graph network's: arguments are tried on the first to which the variant applies."""


def main(arguments: list[str]) -> None:
    """Print the catalogue as one JSON object."""
    parser = argparse.ArgumentParser(prog="python -m jobs.describe", description=__doc__.partition("\n")[0])
    parser.add_argument("--variant-file", type=Path, action="append", default=[])
    files: list[Path] = parser.parse_args(arguments).variant_file
    request = "" if sys.stdin.isatty() else sys.stdin.read()
    json.dump(catalogue(files, json.loads(request) if request.strip() else {}), sys.stdout, allow_nan=False)


def catalogue(files: list[Path], request: Mapping[str, Any]) -> dict[str, Any]:
    """Everything known, what is broken and why, and what is wrong with the requested arguments."""
    classes, broken = _variants(files)
    tasks = {name: registry.task(name) for name in registry.task_names()}
    return {
        "schema": SCHEMA,
        "variants": {name: _variant_entry(cls) for name, cls in sorted(classes.items())},
        "broken": broken,
        "tasks": {name: _task_entry(cls) for name, cls in tasks.items()},
        "checked": {
            "variants": [_variant_problem(classes, item) for item in request.get("variants", ())],
            "tasks": [_problem(tasks.get(item["task"]), item["arguments"]) for item in request.get("tasks", ())],
        },
    }


def parameters(cls: type) -> dict[str, dict[str, Any]]:
    """The keyword-only constructor arguments of `cls`: type as text, default, and choices if they are listed."""
    hints = typing.get_type_hints(cls.__init__)  # type: ignore[misc]  # the constructor of this very class is meant
    found = {}
    for name, parameter in inspect.signature(cls).parameters.items():
        if parameter.kind is not inspect.Parameter.KEYWORD_ONLY:
            continue
        hint = hints.get(name, Any)
        entry: dict[str, Any] = {
            "type": hint.__name__ if isinstance(hint, type) and not typing.get_args(hint) else str(hint)
        }
        if typing.get_origin(hint) is typing.Literal:
            entry |= {"type": "str", "choices": list(typing.get_args(hint))}
        if parameter.default is not inspect.Parameter.empty:
            entry["default"] = parameter.default
        found[name] = entry
    return found


def _variants(files: list[Path]) -> tuple[dict[str, type[Variant]], dict[str, dict[str, str]]]:
    classes: dict[str, type[Variant]] = {}
    broken: dict[str, dict[str, str]] = {}
    named: list[tuple[str, Path | None]] = [(name, None) for name in registry.variant_names()]
    sources = named + [(file.stem, file) for file in files]
    for name, file in sources:
        try:
            if (
                file is not None
                and name in classes
                and file.resolve() == Path(inspect.getfile(classes[name])).resolve()
            ):
                continue  # a file that is already built in may be named too
            if file is not None and name in classes:
                raise VariantError(
                    f"{file.name}: the name {name!r} is taken by {_source(classes[name])}; rename the file."
                )
            classes[name] = registry.variant(name) if file is None else registry.variant_from_file(file)
        except VariantError as error:
            broken[name] = {"source": str(file or name), "problem": str(error)}
    return classes, broken


def _variant_entry(cls: type[Variant]) -> dict[str, Any]:
    path = Path(inspect.getfile(cls))
    return {
        "summary": (sys.modules[cls.__module__].__doc__ or "").strip().partition("\n")[0],
        "source": _source(cls),
        "builtin": cls.__module__.startswith("jobs.variants."),
        "sha256": file_sha256(path),
        "arguments": parameters(cls),
        "keeps": list(cls.keeps),
        "needs": sorted(cls.needs),
        "neutral": cls.neutral,
    }


def _task_entry(cls: type[Task]) -> dict[str, Any]:
    return {
        "summary": (sys.modules[cls.__module__].__doc__ or "").strip().partition("\n")[0],
        "arguments": parameters(cls),
        "steps": cls.steps,
        "global_batch": cls.global_batch,
        "data": {name: dataclasses.asdict(dataset) for name, dataset in cls.datasets.items()},
        "metric": dataclasses.asdict(cls.metrics[0]),
        "label": list(cls.label),
        "engines": list(cls.engines),
        "full_batch": _full_batch(cls),
    }


def _full_batch(cls: type[Task]) -> bool:
    """With the default arguments; a task may decide it by its arguments."""
    return cls.full_batch if any("default" not in entry for entry in parameters(cls).values()) else cls().full_batch


def _variant_problem(classes: Mapping[str, type[Variant]], item: Mapping[str, Any]) -> str | None:
    cls = classes.get(item["name"])
    try:
        fitting = [layer for layer in _TINY if cls is not None and not cls.skip(layer)]
    except registry.VARIANT_ERRORS as error:
        return f"skip: {type(error).__name__}: {error}"
    return _problem(cls, item["arguments"], fitting[0]) if fitting else None


def _problem(cls: type | None, arguments: Mapping[str, Any], *positional: Any) -> str | None:
    """What is wrong with `arguments`, as a sentence; None for a class that is not there, which is said elsewhere."""
    if cls is None:
        return None
    known = parameters(cls)
    for name, value in arguments.items():
        problem = _mistyped(name, value, known.get(name))
        if problem:
            return problem
    try:
        cls(*positional, **arguments)
    except (TypeError, ValueError) as error:
        return str(error)
    except registry.VARIANT_ERRORS as error:
        return f"{type(error).__name__}: {error}"
    return None


def _mistyped(name: str, value: Any, entry: Mapping[str, Any] | None) -> str | None:
    if entry is None:
        return None  # the constructor's own message names it
    if "choices" in entry and value not in entry["choices"]:
        return f"{name}: must be one of {', '.join(map(str, entry['choices']))}, got {value!r}."
    allowed: dict[str, tuple[type, ...]] = {"int": (int,), "float": (int, float), "str": (str,), "bool": (bool,)}
    types = allowed.get(entry["type"])
    if types and (not isinstance(value, types) or (isinstance(value, bool) and bool not in types)):
        return f"{name}: must be of type {entry['type']}, got {value!r}."
    return None


def _source(cls: type) -> str:
    path = Path(inspect.getfile(cls))
    return path.relative_to(_ROOT).as_posix() if path.is_relative_to(_ROOT) else str(path)


if __name__ == "__main__":
    main(sys.argv[1:])
