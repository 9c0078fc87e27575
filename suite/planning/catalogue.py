"""What there is to run: variants, tasks and data sets, as `python -m jobs.describe` prints them."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from jobs.contract import SCHEMA, file_sha256
from suite.errors import CatalogueError, UsageError
from suite.planning.description import LIMIT_S, PACKAGE, Child, Python, Request, describe, on_this_machine


@dataclasses.dataclass(frozen=True)
class Argument:
    """A keyword of a variant or task."""

    type: str  # as annotated: "float", "int | None", "list[int]"
    default: Any = None
    required: bool = False  # it has no default, so every plan must give it
    choices: tuple[Any, ...] = ()  # all that is allowed, where that is listed


@dataclasses.dataclass(frozen=True)
class Variant:
    """A mitigation that can be run."""

    name: str
    summary: str
    source: Path
    builtin: bool
    sha256: str
    arguments: Mapping[str, Argument]


@dataclasses.dataclass(frozen=True)
class Broken:
    """An outside variant file that cannot be used, and why; plans may still name it and get failed rows."""

    name: str
    source: Path
    problem: str
    sha256: str | None  # None: the file cannot be read


@dataclasses.dataclass(frozen=True)
class DataSet:
    """One data set of a task."""

    name: str
    summary: str
    splits: tuple[str, ...]
    embedded: bool  # comes with a package, nothing to download

    @property
    def default_split(self) -> str:
        return "default" if "default" in self.splits else self.splits[0]


@dataclasses.dataclass(frozen=True)
class Task:
    """A training-and-evaluation setting."""

    name: str
    summary: str
    arguments: Mapping[str, Argument]
    steps: int
    global_batch: int
    data: Mapping[str, DataSet]
    metric: Mapping[str, Any]  # name, unit, better
    label: tuple[str, ...]  # arguments that boards show
    engines: tuple[str, ...]  # what trains it
    full_batch: bool  # by default every process sees every sample: the global batch is not dealt out

    @property
    def default_data(self) -> str:
        """The first embedded data set: what runs everywhere without a download."""
        embedded = [name for name, data in self.data.items() if data.embedded]
        return (embedded or list(self.data))[0]


@dataclasses.dataclass(frozen=True)
class Checked:
    """Answers to a request in its order: None, or the problem as a sentence."""

    variants: tuple[str | None, ...] = ()
    tasks: tuple[str | None, ...] = ()


@dataclasses.dataclass(frozen=True)
class Catalogue:
    """Everything that plans can name."""

    variants: Mapping[str, Variant]
    tasks: Mapping[str, Task]
    broken: Mapping[str, Broken] = dataclasses.field(default_factory=dict)
    variant_files: tuple[Path, ...] = ()
    python: Python = on_this_machine  # what imports them

    @classmethod
    def from_dict(
        cls, document: Mapping[str, Any], variant_files: Sequence[Path] = (), python: Python = on_this_machine
    ) -> Self:
        """Build it from the JSON of `python -m jobs.describe`.

        Raises:
            CatalogueError: the document is of another schema or lacks a part.
        """
        if document.get("schema") != SCHEMA:
            raise CatalogueError(f"jobs.describe answered with schema {document.get('schema')!r}; expected {SCHEMA}.")
        try:
            return cls(
                variants={name: _variant(name, entry) for name, entry in sorted(document["variants"].items())},
                tasks={name: _task(name, entry) for name, entry in sorted(document["tasks"].items())},
                broken={name: _broken(name, entry) for name, entry in sorted(document["broken"].items())},
                variant_files=tuple(variant_files),
                python=python,
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise CatalogueError(f"jobs.describe answered with an incomplete description ({error!r}).") from error


def _arguments(document: Mapping[str, Any]) -> dict[str, Argument]:
    return {
        name: Argument(entry["type"], entry.get("default"), "default" not in entry, tuple(entry.get("choices", ())))
        for name, entry in document.items()
    }


def _source(text: str) -> Path:
    return PACKAGE.parent / text  # an absolute path stays as it is


def _variant(name: str, entry: Mapping[str, Any]) -> Variant:
    arguments = _arguments(entry["arguments"])
    return Variant(name, entry["summary"], _source(entry["source"]), entry["builtin"], entry["sha256"], arguments)


def _task(name: str, entry: Mapping[str, Any]) -> Task:
    data = {key: DataSet(key, d["summary"], tuple(d["splits"]), d["embedded"]) for key, d in entry["data"].items()}
    return Task(
        name=name,
        summary=entry["summary"],
        arguments=_arguments(entry["arguments"]),
        steps=entry["steps"],
        global_batch=entry["global_batch"],
        data=data,
        metric=entry["metric"],
        label=tuple(entry["label"]),
        engines=tuple(entry["engines"]),
        full_batch=entry["full_batch"],
    )


def _broken(name: str, entry: Mapping[str, Any]) -> Broken:
    source = _source(entry["source"])
    return Broken(name, source, entry["problem"], file_sha256(source) if source.is_file() else None)


def load(
    *, variant_files: Sequence[Path] = (), limit_s: float = LIMIT_S, python: Python = on_this_machine
) -> Catalogue:
    """Describe what is built in and what `variant_files` add; a file that cannot be used ends up in `broken`.

    Args:
        python: what imports the files; a container where they are not trusted.

    Raises:
        UsageError: a variant file does not exist.
        CatalogueError: the description failed.
    """
    missing = [path for path in variant_files if not path.is_file()]
    if missing:
        raise UsageError(f"--variant-file {path}: no such file. Give the path of a Python file." for path in missing)
    files, child = [path.resolve() for path in variant_files], Child(limit_s, python)
    try:
        return Catalogue.from_dict(describe(files, Request(), child), files, python)
    except CatalogueError as error:
        if not files:
            raise
        fatal = {files[0]: str(error)} if len(files) == 1 else _fatal(files, child)
    return _without(fatal, files, child)


def _fatal(files: Sequence[Path], child: Child) -> dict[Path, str]:
    """The files that kill or hang the child, each with what came of it."""
    fatal: dict[Path, str] = {}
    for path in files:
        try:
            describe([path], Request(), child)
        except CatalogueError as error:
            fatal[path] = str(error)
    return fatal


def _without(fatal: Mapping[Path, str], files: Sequence[Path], child: Child) -> Catalogue:
    """What the other files add, with the fatal ones set apart, so that the rest still runs."""
    usable = [path for path in files if path not in fatal]
    catalogue = Catalogue.from_dict(describe(usable, Request(), child), usable, child.python)
    broken = {path.stem: Broken(path.stem, path, problem, file_sha256(path)) for path, problem in fatal.items()}
    return dataclasses.replace(catalogue, broken={**catalogue.broken, **broken})


def check(catalogue: Catalogue, request: Request) -> Checked:
    """Try arguments on a tiny layer or task, in the child process."""
    if not request.variants and not request.tasks:
        return Checked()
    checked = describe(catalogue.variant_files, request, Child(python=catalogue.python))["checked"]
    return Checked(tuple(checked["variants"]), tuple(checked["tasks"]))
