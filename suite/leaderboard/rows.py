"""Files of a runs folder -> rows: one per setting, start, variant and arguments, holding one trial per seed."""

import dataclasses
import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from jobs.contract import ContractError, JobFolder, JobSpec, Result, canonical, read_json
from suite import provenance
from suite.planning.labels import PROFILE, variant_label
from suite.planning.manifest import Manifest, PlannedJob, Prediction, origins

BASELINE = "softmax"
"""Registry name of the empty variant, which every other row is compared to."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Metric:
    """What a task is judged by."""

    name: str
    unit: str
    better: str  # "higher" or "lower"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Trial:
    """One job: one seed of a row. `pending` means that there is no result yet."""

    id: str
    seed: int
    status: str  # ok, skipped, failed, blocked, pending
    value: float | None = None  # the primary metric
    failure: str | None = None
    reason: str | None = None
    advice: str | None = None
    exit_code: int | None = None
    log_tail: tuple[str, ...] = ()
    attempts: int = 0
    metrics: Mapping[str, float] = dataclasses.field(default_factory=dict)
    cost: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    git_sha: str | None = None
    dirty: bool = False
    device: str | None = None
    processor: str | None = None  # of the machine: another may give another number
    data: str | None = None  # digest of the data as the job read them
    files: str | None = None  # digest of the data set's files as they lay there before the job began
    stale: str | None = None  # what has changed of the data since
    code: Mapping[str, str] = dataclasses.field(default_factory=dict, metadata={"dumped": False})  # path -> SHA-256
    predicted: Prediction | None = None  # what the plan expected it to take
    rerun: str | None = None  # the command that runs it again, typed where the plan was run

    @property
    def machine(self) -> str | None:
        """A GPU's name, or `cpu (AMD EPYC, AVX2)`, as far as the result says."""
        return f"cpu ({self.processor})" if self.device == "cpu" and self.processor else self.device


@dataclasses.dataclass(frozen=True, kw_only=True)
class Curve:
    """One over-smoothing metric against the layer, averaged over seeds."""

    stack: str
    site: str
    metric: str
    layers: tuple[int, ...]
    values: tuple[float, ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Row:
    """One variant, with its arguments, in one setting."""

    key: str  # the same on every board that has the row
    label: str  # of the setting
    setting: Mapping[str, Any]
    variant: str
    name: str  # as shown: neutreno[lam=0.6]; a graph's baseline goes by its body
    arguments: Mapping[str, Any]
    metric: Metric
    trials: tuple[Trial, ...]
    upstream: str | None = None  # entry whose checkpoints it starts from; None: from scratch
    profile: tuple[Curve, ...] = ()

    def __post_init__(self) -> None:
        """Two jobs of one seed are two rows: were they one, a number would be lost."""
        seeds = sorted(trial.seed for trial in self.trials)
        if len(set(seeds)) < len(seeds):
            raise ValueError(f"The row {self.name} in {self.label} has several jobs for one seed: {seeds}.")

    @property
    def task(self) -> str:
        return str(self.setting["task"])

    @property
    def is_baseline(self) -> bool:
        return self.variant == BASELINE

    def values(self) -> dict[int, float]:
        """Seed -> primary metric, of the trials that finished."""
        return {trial.seed: trial.value for trial in self.trials if trial.value is not None}

    def finished(self) -> dict[int, Trial]:
        """Seed -> trial, of those that have a value."""
        return {trial.seed: trial for trial in self.trials if trial.value is not None}

    def machines(self) -> set[str]:
        """The kinds of devices that its values come from."""
        return {trial.machine for trial in self.finished().values() if trial.machine}

    def last_layer(self, metric: str) -> float | None:
        """A profile metric in the deepest layer of the last stack, averaged over seeds; of the block if it has it."""
        curves = [curve for curve in self.profile if curve.metric == metric]
        after = [curve for curve in curves if curve.site == "block"] or curves
        return after[-1].values[-1] if after else None

    def cost(self, name: str) -> float | None:
        """A cost averaged over the trials that state it."""
        stated = [float(trial.cost[name]) for trial in self.trials if trial.cost.get(name) is not None]
        return fmean(stated) if stated else None


def read(runs: Path, manifest: Manifest) -> list[Row]:
    """The rows of a plan in its own order; what has not run yet or cannot be read is in them too."""
    starts = origins(manifest.jobs)
    groups: dict[bytes, list[PlannedJob]] = defaultdict(list)
    for job in manifest.jobs:
        variant = (job.spec.variant, job.spec.variant_sha256, job.spec.variant_arguments)
        groups[canonical({"row": [job.spec.setting(), starts[job.id], *variant]})].append(job)
    return [
        _row(runs, jobs, manifest, upstream=starts[jobs[0].id], key=hashlib.sha256(group).hexdigest()[:12])
        for group, jobs in groups.items()
    ]


def _row(runs: Path, jobs: Sequence[PlannedJob], manifest: Manifest, *, upstream: str | None, key: str) -> Row:
    spec = jobs[0].spec
    results = {job.id: _result(runs / job.id) for job in jobs}
    finished = [result for result in results.values() if isinstance(result, Result) and result.numbers]
    return Row(
        key=key,
        label=jobs[0].label,
        setting=spec.setting(),
        variant=spec.variant,
        name=_name(spec),
        arguments=spec.variant_arguments,
        metric=_metric(finished, manifest.tasks.get(spec.task, {})),
        trials=tuple(
            dataclasses.replace(
                _trial(runs / job.id, job.spec.seed, results[job.id]),
                rerun=manifest.rerun(job),
                predicted=job.predicted,
            )
            for job in jobs
        ),
        upstream=upstream,
        profile=tuple(_profile(result.numbers.get("profile", ()) for result in finished)),
    )


def _name(spec: JobSpec) -> str:
    if spec.variant == BASELINE and spec.task == "graph":
        return str(spec.arguments.get("model", BASELINE))
    return variant_label(spec)


def _metric(results: Sequence[Result], task: Mapping[str, Any]) -> Metric:
    for numbers in (result.numbers for result in results):
        if numbers.get("primary") in numbers.get("metrics", {}):
            stated = numbers["metrics"][numbers["primary"]]
            return Metric(name=numbers["primary"], unit=stated["unit"], better=stated["better"])
    planned = task.get("metric", {})
    return Metric(
        name=planned.get("name", "metric"), unit=planned.get("unit", ""), better=planned.get("better", "higher")
    )


def _result(folder: Path) -> Result | str | None:
    """The result, why it cannot be read, or None where there is none yet."""
    path = JobFolder(folder).result
    if not path.exists():
        return None
    try:
        return Result.load(path)
    except ContractError as error:
        return str(error)


def _trial(folder: Path, seed: int, result: Result | str | None) -> Trial:
    if result is None:
        return Trial(id=folder.name, seed=seed, status="pending")
    if isinstance(result, str):
        advice = "Run the job again with --force."
        return Trial(id=folder.name, seed=seed, status="failed", failure="error", reason=result, advice=advice)
    metrics = {name: metric["value"] for name, metric in result.numbers.get("metrics", {}).items()}
    files = JobFolder(folder).attempt(result.attempt)
    stated, launch = _document(files.provenance), _document(files.launch)
    git = stated.get("git") or launch.get("git") or {}  # a job that was killed early left only its launch file
    return Trial(
        id=folder.name,
        seed=seed,
        status=result.status,
        value=metrics.get(result.numbers.get("primary")) if result.status == "ok" else None,
        failure=result.failure,
        reason=result.reason,
        advice=result.advice,
        exit_code=result.exit_code,
        log_tail=tuple(result.log_tail),
        attempts=result.attempt,
        metrics=metrics,
        cost=result.cost,
        git_sha=git.get("sha"),
        dirty=bool(git.get("dirty")),
        data=stated.get("data", {}).get("digest"),
        files=_document(provenance.data_path(files)).get("digest"),
        stale=provenance.changed_data(JobFolder(folder)),
        code=stated.get("code", {}),
        device=result.cost.get("device"),
        processor=stated.get("hardware", {}).get("processor"),
    )


def _document(path: Path) -> dict[str, Any]:
    try:
        return dict(read_json(path))
    except ContractError:
        return {}


def _profile(profiles: Iterable[Sequence[Mapping[str, Any]]]) -> Iterable[Curve]:
    points: dict[tuple[str, str, str], dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    for measured in (layer for profile in profiles for layer in profile):
        for metric in PROFILE:
            if measured.get(metric) is not None:
                points[measured["stack"], measured["site"], metric][measured["layer"]].append(measured[metric])
    for (stack, site, metric), layers in points.items():
        means = {layer: fmean(layers[layer]) for layer in sorted(layers)}
        yield Curve(stack=stack, site=site, metric=metric, layers=tuple(means), values=tuple(means.values()))
