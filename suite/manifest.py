"""What a run was asked to do, kept in the runs folder: status and board need neither torch nor the plan file.

    runs/plans/<name>.json     Manifest: the plan's name and tier, its jobs in order, what each task measures
"""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from jobs.contract import SCHEMA, ContractError, JobSpec, read_json, write_json


@dataclasses.dataclass(frozen=True, kw_only=True)
class PlannedJob:
    """One job as the plan sees it; the numbers are in `runs/<id>/`."""

    id: str
    entry: str
    label: str  # of the setting, the same for every variant and seed in it
    spec: JobSpec
    limits_s: Mapping[str, float] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Manifest:
    """A plan as it was last run into a runs folder."""

    name: str
    tier: str  # "development" (shown, never ranked) or "ranked"
    created: str  # ISO 8601, UTC
    jobs: tuple[PlannedJob, ...]
    tasks: Mapping[str, Mapping[str, Any]]  # task -> {"metric": {name, unit, better}, "label": [argument names]}

    @classmethod
    def from_dict(cls, document: Mapping[str, Any], source: object) -> Self:
        """Raises ContractError where the document is of another version or incomplete."""
        if document.get("schema") != SCHEMA:
            raise ContractError(f"{source}: schema {document.get('schema')!r}; this version reads schema {SCHEMA}.")
        try:
            jobs = tuple(
                PlannedJob(**{**job, "spec": JobSpec.from_dict(job["spec"], source)}) for job in document["jobs"]
            )
            fields = {key: document[key] for key in ("name", "tier", "created", "tasks")}
        except (KeyError, TypeError) as error:
            raise ContractError(f"{source}: not a plan's manifest ({error!r}).") from error
        return cls(**fields, jobs=jobs)


def folder(runs: Path) -> Path:
    return runs / "plans"


def save(manifest: Manifest, runs: Path) -> Path:
    """Write it to `runs/plans/<name>.json` and return that path."""
    path = folder(runs) / f"{manifest.name}.json"
    write_json(path, {"schema": SCHEMA, **dataclasses.asdict(manifest)})
    return path


def load(path: Path) -> Manifest:
    """Raises ContractError where the file is missing or malformed."""
    return Manifest.from_dict(read_json(path), path)


def load_all(runs: Path) -> list[Manifest]:
    """Every plan that was run into `runs`, the latest one last."""
    manifests = [load(path) for path in sorted(folder(runs).glob("*.json"))]
    return sorted(manifests, key=lambda manifest: manifest.created)
