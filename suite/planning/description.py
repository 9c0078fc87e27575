"""Asks `python -m jobs.describe` what there is to run.

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
from typing import Any

import jobs.contract
from jobs.contract import canonical, file_sha256
from suite import cache
from suite.errors import CatalogueError

PACKAGE = Path(jobs.contract.__file__).parent
LIMIT_S = 60.0
"""Time allowed for one description [s]; importing torch and the frameworks takes 5-20 s on a slow disk."""


Python = Callable[[Sequence[Path]], Sequence[str]]
"""The command that stands for `python` where these variant files are imported."""


def on_this_machine(files: Sequence[Path]) -> Sequence[str]:
    """The suite's own interpreter."""
    return [sys.executable]


@dataclasses.dataclass(frozen=True)
class Request:
    """Arguments to try on a tiny layer: pairs of (variant, arguments), and whole task settings."""

    variants: tuple[tuple[str, Mapping[str, Any]], ...] = ()
    tasks: tuple[Mapping[str, Any], ...] = ()  # task, data, split, arguments

    def to_dict(self) -> dict[str, Any]:
        variants = [{"name": name, "arguments": dict(arguments)} for name, arguments in self.variants]
        return {"variants": variants, "tasks": [dict(task) for task in self.tasks]}


@dataclasses.dataclass(frozen=True)
class Child:
    """How the child process that describes is run."""

    limit_s: float = LIMIT_S
    python: Python = on_this_machine


_CHILD = Child()


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
