"""Finding variants and tasks by name: built in (file stem = name), by entry point, or by path."""

import difflib
import importlib
import importlib.util
import inspect
import pkgutil
import sys
import traceback
from collections.abc import Callable, Mapping
from functools import partial
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

import torch

import jobs.tasks
import jobs.variants
from jobs import randomness
from jobs.api import Layer, Plug, Task, Variant
from jobs.errors import Skipped, VariantError

ENTRY_POINTS = "unsmooth.variants"

_T = TypeVar("_T")
VARIANT_ERRORS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    ImportError,
    LookupError,
    NameError,
    OSError,
    RuntimeError,
    SystemExit,
    TypeError,
    ValueError,
)
"""What a variant's own code may raise while it is imported or built."""


def variant_names() -> list[str]:
    """Names of the built-in and installed variants, sorted."""
    built_in = {module.name for module in pkgutil.iter_modules(jobs.variants.__path__)}
    return sorted(built_in | {point.name for point in entry_points(group=ENTRY_POINTS)})


def task_names() -> list[str]:
    """Names of the tasks, sorted."""
    return sorted(module.name for module in pkgutil.iter_modules(jobs.tasks.__path__))


def variant(name: str) -> type[Variant]:
    """The variant class registered as `name`.

    Raises:
        VariantError: there is none, or its module is broken.
    """
    for point in entry_points(group=ENTRY_POINTS):
        if point.name == name:
            return _only_variant(point.value, partial(importlib.import_module, point.module))
    if name not in variant_names():
        near = difflib.get_close_matches(name, variant_names(), n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise VariantError(f"Unknown variant {name!r}.{hint} Available: {', '.join(variant_names())}.")
    return _only_variant(f"{name}.py", lambda: importlib.import_module(f"jobs.variants.{name}"))


def variant_from_file(path: Path) -> type[Variant]:
    """The variant class in a file outside the repository; the file's stem is its name.

    Raises:
        VariantError: the file is missing, cannot be imported or does not define exactly one variant.
    """
    name = f"unsmooth_outside_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None or not path.is_file():
        raise VariantError(f"{path}: no such Python file.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    loader = spec.loader

    def load() -> ModuleType:
        loader.exec_module(module)
        return module

    return _only_variant(path.name, load)


def plug(cls: type[Variant], name: str, arguments: Mapping[str, Any], seed: int) -> Plug:
    """What hosts call per layer: builds the variant on a random stream of its own, so that all else is paired.

    The stream is a function of (seed, layer): the same seed gives the same host weights and data order
    whatever the variant draws.
    """

    def make(layer: Layer) -> Variant:
        reason = cls.skip(layer)
        if reason:
            raise Skipped(reason)
        with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
            torch.manual_seed(randomness.derive(seed, "variant", layer.index))
            try:
                return cls(layer, **arguments)
            except (TypeError, ValueError) as error:
                raise VariantError(f"{name} cannot be built with {arguments}: {error}") from error

    return make


def task(name: str) -> type[Task]:
    """The task class in `jobs/tasks/<name>.py`; the name must be one of `task_names()`."""
    module = importlib.import_module(f"jobs.tasks.{name}")
    (found,) = _defined(module, Task)  # type: ignore[type-abstract]  # the abstract base is what is looked for
    return found


def _only_variant(file: str, load: Callable[[], ModuleType]) -> type[Variant]:
    try:
        module = load()
    except SyntaxError as error:
        raise VariantError(f"{file}, line {error.lineno}: {error.msg}.") from error
    except VARIANT_ERRORS as error:
        line = traceback.extract_tb(error.__traceback__)[-1].lineno
        raise VariantError(f"{file}, line {line}: {type(error).__name__}: {error}.") from error
    found = _defined(module, Variant)
    if len(found) != 1:
        names = ", ".join(cls.__name__ for cls in found) or "none"
        raise VariantError(f"{file} must define exactly one subclass of jobs.api.Variant; found {names}.")
    return found[0]


def _defined(module: ModuleType, parent: type[_T]) -> list[type[_T]]:
    classes = [cls for _, cls in inspect.getmembers(module, inspect.isclass) if cls.__module__ == module.__name__]
    return [cls for cls in classes if issubclass(cls, parent) and not cls.__name__.startswith("_")]
