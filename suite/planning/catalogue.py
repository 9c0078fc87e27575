"""What there is to run: variants, tasks and data sets, as `python -m jobs.describe` prints them.

Describing needs torch, so it happens in a child process; its answer is kept in the user's cache folder under the digest
of everything it depends on, so that planning usually starts no child at all.
"""

import dataclasses
import functools
import hashlib
import json
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Self

import jobs.contract
from jobs.contract import SCHEMA, canonical, file_sha256
from suite import cache
from suite.errors import CatalogueError, UsageError

PACKAGE = Path(jobs.contract.__file__).parent
LIMIT_S = 60.0
"""Time allowed for one description [s]; importing torch and the frameworks takes 5-20 s on a slow disk."""


Python = Callable[[Sequence[Path]], Sequence[str]]
"""The command that stands for `python` where these variant files are imported."""


def on_this_machine(files: Sequence[Path]) -> Sequence[str]:
    """The suite's own interpreter."""
    return [sys.executable]


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
class Request:
    """Arguments to try on a tiny layer: pairs of (variant, arguments), and whole task settings."""

    variants: tuple[tuple[str, Mapping[str, Any]], ...] = ()
    tasks: tuple[Mapping[str, Any], ...] = ()  # task, data, split, arguments

    def to_dict(self) -> dict[str, Any]:
        variants = [{"name": name, "arguments": dict(arguments)} for name, arguments in self.variants]
        return {"variants": variants, "tasks": [dict(task) for task in self.tasks]}


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


@dataclasses.dataclass(frozen=True)
class Child:
    """How the child process that describes is run."""

    limit_s: float = LIMIT_S
    python: Python = on_this_machine


_CHILD = Child()


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


def describe(variant_files: Sequence[Path], request: Request, child: Child = _CHILD) -> dict[str, Any]:
    """The child's answer, from the cache where nothing it depends on has changed."""
    key = hashlib.sha256(canonical({"code": code_digest(), "files": _stamp(variant_files), **request.to_dict()}))
    answer = cache.recall("describe", key.hexdigest())
    if answer is None:
        answer = ask(variant_files, request, child)
        cache.keep("describe", key.hexdigest(), answer)
    return answer


def ask(variant_files: Sequence[Path], request: Request, child: Child = _CHILD) -> dict[str, Any]:
    """Run `python -m jobs.describe` once.

    Raises:
        CatalogueError: it failed, hung, or printed something other than one JSON object.
    """
    flags = [text for path in variant_files for text in ("--variant-file", str(path))]
    command = [*child.python(variant_files), "-m", "jobs.describe", *flags]
    what = "Describing the variants and tasks (python -m jobs.describe)"
    try:
        # From the package's parent, so that a folder called jobs where the user stands is not imported instead.
        done = subprocess.run(
            command, input=json.dumps(request.to_dict()), cwd=PACKAGE.parent, capture_output=True, text=True,
            timeout=child.limit_s, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        advice = "A variant file may never return when imported." if variant_files else "Run it by hand to see where."
        raise CatalogueError(f"{what} did not finish within {child.limit_s:g} s. {advice}") from error
    if done.returncode != 0:
        tail = "\n".join(done.stderr.strip().splitlines()[-8:])
        raise CatalogueError(f"{what} failed with exit code {done.returncode}. Its last lines:\n{tail}")
    try:
        answer = json.loads(done.stdout)
    except ValueError as error:
        raise CatalogueError(f"{what} did not print JSON, it printed {done.stdout[:200]!r}.") from error
    return dict(answer)


@functools.cache
def code_digest() -> str:
    """SHA-256 over the Python that runs, every module of `jobs`, and the installed variant packages."""
    digest = hashlib.sha256(f"{sys.version} {sys.prefix} {PACKAGE}".encode())
    for path in sorted(PACKAGE.rglob("*.py")):
        digest.update(f"{path.relative_to(PACKAGE)} {file_sha256(path)}\n".encode())
    for point in sorted(entry_points(group="unsmooth.variants")):
        digest.update(f"{point.name} {point.value} {point.dist and point.dist.version}\n".encode())
    return digest.hexdigest()


def _stamp(variant_files: Sequence[Path]) -> list[list[str]]:
    return [[str(path), file_sha256(path)] for path in variant_files]
