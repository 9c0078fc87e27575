"""From what was typed to jobs: plan file, catalogue, patterns and seeds; shared by `plan` and `run`."""

import dataclasses
import re
from collections.abc import Sequence
from pathlib import Path

from suite.errors import UsageError, unknown
from suite.planning import catalogue
from suite.planning.catalogue import Catalogue
from suite.planning.description import PACKAGE
from suite.planning.plan import Job, Plan, expand, with_outside_variants
from suite.running.runtimes import registry


@dataclasses.dataclass(frozen=True, kw_only=True)
class Matrix:
    """A plan and those of its jobs that are meant."""

    plan: Plan
    catalogue: Catalogue
    jobs: list[Job]


def read(
    text: str,
    *,
    variant_files: Sequence[Path],
    select: Sequence[str],
    exclude: Sequence[str],
    seeds: str | None,
    runtime: str = "local",
) -> Matrix:
    """Load and expand the plan that `text` names; variant files are imported where `runtime` runs its jobs.

    Raises:
        UsageError: everything that is wrong with it, or with the patterns or seeds.
    """
    from suite.planning import config  # loads pydantic, which `list` and `status` do not wait for

    chosen = _seeds(seeds)
    path = plan_path(text)
    found = catalogue.load(variant_files=variant_files, python=registry.find(runtime).python)
    plan = with_outside_variants(config.load(path, found), found)
    return Matrix(plan=plan, catalogue=found, jobs=expand(plan, found, seeds=chosen, select=select, exclude=exclude))


def plan_path(text: str) -> Path:
    """The plan file at `text`, or the one of that name that comes along.

    Raises:
        UsageError: there is neither.
    """
    path = Path(text)
    if (path.exists() and not path.is_dir()) or path.suffix or path.parent != Path():
        return path
    known = {entry.stem: entry for entry in (PACKAGE / "plans").glob("*.yaml")}
    if text not in known:
        raise UsageError(f"{unknown('plan', text, known)} Or give the path of a plan file.")
    return known[text]


def _seeds(text: str | None) -> list[int] | None:
    """`0,1,5-7` as numbers, in order and without repetition; None where none were given."""
    if text is None:
        return None
    seeds: list[int] = []
    for part in text.split(","):
        span = re.fullmatch(r"\s*(\d+)(?:-(\d+))?\s*", part)
        if span is None or int(span[2] or span[1]) < int(span[1]):
            raise UsageError(f"--seeds {text!r}: {part!r} is no seed. Write whole numbers and spans: 0,1,5-7.")
        seeds += range(int(span[1]), int(span[2] or span[1]) + 1)
    return list(dict.fromkeys(seeds))
