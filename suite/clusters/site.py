"""What a cluster is like, from its site file: how SLURM is asked for machines, and what a machine needs before a job.

The file is TOML with the tables [slurm], [node] and [run]; every field and its default stands in the classes below, and
`slurm/site.toml` is an example that explains itself.
"""

import dataclasses
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from suite.errors import UsageError, unknown

MODES = ("ray", "array")
"""One allocation in which Ray places the jobs; or a job array, for sites that do not want Ray."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Slurm:
    """What is asked of SLURM; None leaves it to the site's own default."""

    mode: str = "ray"
    partition: str | None = None
    account: str | None = None
    qos: str | None = None
    constraint: str | None = None
    reservation: str | None = None
    nodes: int = 1  # mode ray: how many machines
    gpus_per_node: int = 0  # mode ray; an array's tasks get as many as their job asks for
    gres: str = "gpu"  # how the site calls a GPU, such as gpu:a100
    cpus_per_node: int = 1  # mode ray; an array's tasks get as many as their job has threads
    memory: str | None = None  # --mem, per node or per array task
    time: str = "24:00:00"  # --time
    exclusive: bool = False
    signal_s: int = 120  # seconds before the time limit at which jobs are asked to write a checkpoint
    at_once: int | None = None  # mode array: at most so many tasks at the same time
    options: list[str] = dataclasses.field(default_factory=list)  # further #SBATCH words, such as --comment=x


@dataclasses.dataclass(frozen=True, kw_only=True)
class Node:
    """What a machine of the cluster needs."""

    python: str | None = None  # the interpreter that has the suite; None: the one that submits
    setup: list[str] = dataclasses.field(default_factory=list)  # shell lines before anything else: modules, proxies
    temp: str = "/tmp"  # a folder on the machine itself, with a short path
    interface: str | None = None  # network interface by which machines find each other, such as ib0
    start_s: int = 300  # seconds in which Ray must be up on all machines


@dataclasses.dataclass(frozen=True, kw_only=True)
class Run:
    """How jobs are run there."""

    runtime: str = "local"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Site:
    """A whole site file."""

    slurm: Slurm = Slurm()
    node: Node = Node()
    run: Run = Run()


_TABLES = ("slurm", "node", "run")
_WORDS: Mapping[type, str] = {int: "a whole number", str: "a text", bool: "true or false", list: "a list of texts"}
_AT_LEAST = {"nodes": 1, "gpus_per_node": 0, "cpus_per_node": 1, "signal_s": 1, "at_once": 1, "start_s": 1}

_Table = TypeVar("_Table")


def load(path: Path) -> Site:
    """Read a site file.

    Raises:
        UsageError: it cannot be read; or everything that is wrong in it, each as `file: table.field: problem`.
    """
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UsageError(
            f"{path}: no such file. slurm/site.toml in the checkout is an example to start from."
        ) from error
    except (OSError, ValueError) as error:
        raise UsageError(f"{path}: cannot be read as TOML: {error}.") from error
    problems = [f"{name}: {unknown('table', name, _TABLES)}" for name in document if name not in _TABLES]
    slurm = _table(Slurm, document.get("slurm", {}), "slurm", problems)
    node = _table(Node, document.get("node", {}), "node", problems)
    run = _table(Run, document.get("run", {}), "run", problems)
    if slurm is None or node is None or run is None or problems:
        raise UsageError(f"{path}: {problem}" for problem in problems)
    return Site(slurm=slurm, node=node, run=run)


def _table(kind: type[_Table], given: Any, name: str, problems: list[str]) -> _Table | None:
    """The table as its class; what is wrong goes to `problems`."""
    if not isinstance(given, dict):
        problems.append(f"{name}: must be a table, got {given!r}.")
        return None
    fields = {field.name: field for field in dataclasses.fields(kind)}  # type: ignore[arg-type]  # only dataclasses come
    found = []
    for key, value in given.items():
        problem = unknown("field", key, fields) if key not in fields else _problem(key, value, str(fields[key].type))
        if problem:
            found.append(f"{name}.{key}: {problem}")
    problems += found
    return None if found else kind(**given)


def _problem(key: str, value: object, annotation: str) -> str | None:
    """What is wrong with a field's value; None if nothing is."""
    kind = next(kind for kind in (bool, int, str, list) if kind.__name__ in annotation.split("[")[0])
    if type(value) is not kind or (isinstance(value, list) and not _texts(value)):
        return f"must be {_WORDS[kind]}, got {value!r}."
    if isinstance(value, int) and value < _AT_LEAST.get(key, value):
        return f"must be >= {_AT_LEAST[key]}, got {value}."
    if key == "mode" and value not in MODES:
        return f"{unknown('mode', value, MODES)}"
    if key == "temp" and not str(value).startswith("/"):
        return f"must be an absolute path, got {value!r}."
    return "must be one line, without line breaks." if _broken(value) else None


def _texts(values: Sequence[object]) -> bool:
    return all(isinstance(one, str) for one in values)


def _broken(value: object) -> bool:
    """Whether a line break would tear an #SBATCH line."""
    return any("\n" in str(one) for one in (value if isinstance(value, list) else [value]))
