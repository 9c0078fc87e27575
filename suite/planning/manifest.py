"""What a run was asked to do, kept in the runs folder: status and board need neither torch nor the plan file.

runs/plans/<name>.json     Manifest: the plan's name and tier, its jobs in order, what each task measures
"""

import dataclasses
import shlex
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from jobs.contract import SCHEMA, ContractError, JobSpec, canonical, read_json, write_json
from suite.errors import UsageError
from suite.planning.catalogue import Catalogue
from suite.planning.labels import setting_label
from suite.planning.plan import Job, Plan, expand


@dataclasses.dataclass(frozen=True, kw_only=True)
class Prediction:
    """What a job was expected to take when it was last about to be run."""

    wall_s: float
    peak_bytes: float | None = None  # of one process, where it was known
    origin: str  # measured, probed, scaled or guessed; see `cost`


@dataclasses.dataclass(frozen=True, kw_only=True)
class PlannedJob:
    """One job as the plan sees it; the numbers are in `runs/<id>/`."""

    id: str
    entry: str
    label: str  # of the setting, the same for every variant and seed in it
    spec: JobSpec
    limits_s: Mapping[str, float] = dataclasses.field(default_factory=dict)
    variant_file: str | None = None  # where the variant comes from outside
    predicted: Prediction | None = None  # None also in plans run before predictions were kept

    @classmethod
    def from_dict(cls, document: Mapping[str, Any], source: object) -> Self:
        """Raises ContractError, KeyError or TypeError where the document is none of a planned job."""
        expected = document.get("predicted")
        predicted = None if expected is None else Prediction(**expected)
        return cls(**{**document, "spec": JobSpec.from_dict(document["spec"], source), "predicted": predicted})


@dataclasses.dataclass(frozen=True, kw_only=True)
class Manifest:
    """A plan as it was last run into a runs folder."""

    name: str
    tier: str  # "development" (shown, never ranked) or "ranked"
    created: str  # ISO 8601, UTC
    jobs: tuple[PlannedJob, ...]
    tasks: Mapping[str, Mapping[str, Any]]  # task -> {"metric": {name, unit, better}, "label": [argument names]}
    command: tuple[str, ...] = ()  # what was typed to run it, without choosing jobs: unsmooth run PLAN ...

    def rerun(self, job: PlannedJob) -> str | None:
        """The command that runs one of its jobs again, typed in the same folder; None where it is not known."""
        if not self.command:
            return None
        missing = job.variant_file if job.variant_file not in self.command else None
        file = ("--variant-file", missing) if missing else ()
        return shlex.join([*self.command, *file, "--seeds", str(job.spec.seed), "--select", job.id, "--force"])

    @classmethod
    def from_dict(cls, document: Mapping[str, Any], source: object) -> Self:
        """Raises ContractError where the document is of another version or incomplete."""
        if document.get("schema") != SCHEMA:
            raise ContractError(f"{source}: schema {document.get('schema')!r}; this version reads schema {SCHEMA}.")
        try:
            jobs = tuple(PlannedJob.from_dict(job, source) for job in document["jobs"])
            fields = {key: document[key] for key in ("name", "tier", "created", "tasks")}
        except (AttributeError, KeyError, TypeError) as error:
            raise ContractError(f"{source}: not a plan's manifest ({error!r}).") from error
        return cls(**fields, jobs=jobs, command=tuple(document.get("command", ())))


def of(plan: Plan, jobs: Sequence[Job], catalogue: Catalogue, *, command: Sequence[str] = ()) -> Manifest:
    """The manifest of these jobs of the plan."""
    tasks = {job.spec.task: catalogue.tasks[job.spec.task] for job in jobs}
    labels = _labels(jobs, catalogue)
    return Manifest(
        name=plan.name,
        tier=plan.tier,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        jobs=tuple(_planned(job, label, command) for job, label in zip(jobs, labels, strict=True)),
        command=tuple(command),
        tasks={name: {"metric": dict(task.metric), "label": list(task.label)} for name, task in tasks.items()},
    )


def _planned(job: Job, label: str, command: Sequence[str]) -> PlannedJob:
    file = _typed(job.variant_file, command) if job.variant_file else None
    limits_s = dict(job.limits_s)
    return PlannedJob(id=job.id, entry=job.entry, label=label, spec=job.spec, limits_s=limits_s, variant_file=file)


def _typed(file: Path, command: Sequence[str]) -> str:
    """The path as the command has it, if it is in there."""
    return next((word for word in command if Path(word).resolve() == file.resolve()), str(file))


def origins(jobs: Sequence[Job | PlannedJob]) -> dict[str, str | None]:
    """By job: the entry whose checkpoint it starts from, or its own where that is not among them; None: scratch."""
    entries = {job.id: job.entry for job in jobs}
    return {job.id: entries.get(job.spec.upstream, job.entry) if job.spec.upstream else None for job in jobs}


def _labels(jobs: Sequence[Job], catalogue: Catalogue) -> list[str]:
    """One label per setting: those that look alike show what differs, their arguments first, then their entries."""
    shown = [list(catalogue.tasks[job.spec.task].label) for job in jobs]
    labels = [setting_label(job.spec, names) for job, names in zip(jobs, shown, strict=True)]
    for alike in _clashes(jobs, labels):
        arguments = [jobs[index].spec.arguments for index in alike]
        differing = sorted(key for key in arguments[0] if any(given[key] != arguments[0][key] for given in arguments))
        for index in alike:
            labels[index] = setting_label(jobs[index].spec, list(dict.fromkeys([*shown[index], *differing])))
    for alike in _clashes(jobs, labels):
        for index in alike:
            labels[index] += f" ({jobs[index].entry})"
    return labels


def _clashes(jobs: Sequence[Job], labels: Sequence[str]) -> list[list[int]]:
    """Indices of the jobs that share a label although their settings, or what they start from, differ."""
    starts = origins(jobs)
    places = [canonical({"place": [job.spec.setting(), starts[job.id]]}) for job in jobs]
    groups: dict[str, list[int]] = {}
    for index, label in enumerate(labels):
        groups.setdefault(label, []).append(index)
    return [group for group in groups.values() if len({places[i] for i in group}) > 1]


def remember(
    plan: Plan,
    jobs: Sequence[Job],
    catalogue: Catalogue,
    runs: Path,
    *,
    command: Sequence[str] = (),
    predictions: Mapping[str, Prediction] | None = None,
) -> Path:
    """Save the manifest of `jobs`, together with those run before that the plan still stands for, in its order.

    Args:
        command: what was typed, without choosing jobs; see Manifest.
        predictions: by job, for those about to be run; the others keep what was predicted before they were.

    Raises:
        UsageError: the file of an earlier run is damaged.
    """
    path = folder(runs) / f"{plan.name}.json"
    try:
        before = load(path).jobs if path.exists() else ()
    except ContractError as error:
        raise UsageError(f"{error} Delete it and run again: the jobs' own folders stay as they are.") from error
    run = {job.id: job.spec.seed for job in jobs} | {job.id: job.spec.seed for job in before}
    seeds = sorted({*plan.seeds, *run.values()})
    kept = [job for job in expand(plan, catalogue, seeds=seeds) if job.id in run]
    outside = _outside(before, kept, catalogue, runs)
    expected = {job.id: job.predicted for job in before} | dict(predictions or {})
    listed = of(plan, [*kept, *outside], catalogue, command=command)
    foretold = tuple(dataclasses.replace(job, predicted=expected.get(job.id)) for job in listed.jobs)
    return save(dataclasses.replace(listed, jobs=foretold), runs)


def _outside(before: Sequence[PlannedJob], kept: Sequence[Job], catalogue: Catalogue, runs: Path) -> list[Job]:
    """Jobs run before with a file that is not given now, in the settings that the plan still has.

    An edited file that is given again replaces its older self: one board shows one version of a variant.
    """
    places = {(job.entry, canonical(job.spec.setting())) for job in kept}
    given = {*catalogue.variants, *catalogue.broken}
    return [
        _job(job)
        for job in before
        if job.spec.variant_sha256 is not None
        and job.spec.variant not in given
        and (job.entry, canonical(job.spec.setting())) in places
        and (runs / job.id).is_dir()
    ]


def _job(planned: PlannedJob) -> Job:
    return Job(
        spec=planned.spec,
        id=planned.id,
        entry=planned.entry,
        upstream=planned.spec.upstream,
        limits_s=planned.limits_s,
        variant_file=Path(planned.variant_file) if planned.variant_file else None,
    )


def folder(runs: Path) -> Path:
    """Where the manifests of a runs folder lie."""
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
