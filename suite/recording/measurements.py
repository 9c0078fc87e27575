"""A finished job as MLflow wants it: parameters, tags, timed measurements and a figure; pure, without MLflow."""

import dataclasses
import hashlib
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from matplotlib.figure import Figure

from jobs.contract import JobFolder, JobSpec, Result, canonical, file_sha256, read_events, read_json
from suite.planning.labels import PROFILE
from suite.recording.layout import PRIMARY


@dataclasses.dataclass(frozen=True)
class Measurement:
    """One value of one metric; `step` is the training step, or the layer of a profile."""

    key: str
    step: int
    value: float
    time_ms: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recording:
    """What identifies a job and its outcome; its measurements are read only when they are needed."""

    folder: JobFolder
    spec: JobSpec
    result: Result
    digest: str  # of result.json: tells whether what MLflow has is still what is on disk
    row: str  # what the job's run is nested under: the setting and the variant with its arguments

    def provenance(self) -> dict[str, Any]:
        """What the attempt that counted wrote about itself; a job that was killed may have left nothing."""
        path = self.folder.attempt(self.result.attempt).provenance
        return read_json(path) if path.exists() else {}

    @property
    def data(self) -> tuple[str, str] | None:
        """Name and digest of what the job has read, where it got as far as reading."""
        data = self.provenance().get("data", {})
        return (str(data["name"]), str(data["digest"])) if data.get("name") and data.get("digest") else None

    def files(self) -> list[Path]:
        """The artefacts."""
        paths = (self.folder.spec, self.folder.result, self.folder.attempt(self.result.attempt).provenance)
        return [path for path in paths if path.exists()]


def load(folder: Path) -> Recording:
    """Read a job's folder.

    Raises:
        ContractError: its spec or result is missing or malformed.
    """
    job = JobFolder(folder)
    spec, result = JobSpec.load(job.spec), Result.load(job.result)
    return Recording(
        folder=job, spec=spec, result=result, digest=file_sha256(job.result), row=row_key(spec, folder.parent)
    )


def row_key(spec: JobSpec, runs: Path) -> str:
    """What the seeds of one row have in common, hashed: an edited variant, or another start, is another row."""
    row: dict[str, Any] = {"setting": spec.setting(), "variant": spec.variant, "arguments": spec.variant_arguments}
    row |= {"sha256": spec.variant_sha256, "upstream": _start(spec, runs)}
    return hashlib.sha256(canonical(row)).hexdigest()[:16]


def _start(spec: JobSpec, runs: Path) -> str | None:
    """The row of the job whose checkpoint this one starts from; each seed has a job of its own there."""
    if spec.upstream is None:
        return None
    path = JobFolder(runs / spec.upstream).spec
    return row_key(JobSpec.load(path), runs) if path.exists() else "unknown"


def parameters(spec: JobSpec, *, seed: bool) -> dict[str, str]:
    """Flat and readable: `variant`, `variant.lam`, `task.depth`, `steps` ..."""
    flat = {key: value for key, value in spec.setting().items() if key not in ("arguments", "schema")}
    flat |= {f"task.{key}": value for key, value in spec.arguments.items()}
    flat |= {"variant": spec.variant, **{f"variant.{key}": value for key, value in spec.variant_arguments.items()}}
    flat["variant_sha256"] = spec.variant_sha256
    flat |= {"seed": spec.seed} if seed else {}
    return {metric_key(key): str(value)[:6000] for key, value in flat.items() if value is not None}


def tags(recording: Recording) -> dict[str, str]:
    """How the job ended and what it came from."""
    result, provenance = recording.result, recording.provenance()
    git, data = provenance.get("git", {}), provenance.get("data", {})
    stated = {
        "unsmooth.status": result.status,
        "unsmooth.failure": result.failure,
        "unsmooth.reason": result.reason,
        "unsmooth.attempt": result.attempt,
        "unsmooth.primary": result.numbers.get("primary"),
        "unsmooth.upstream": recording.spec.upstream,
        "unsmooth.dirty": git.get("dirty"),
        "mlflow.source.git.commit": git.get("sha"),
        "unsmooth.data": data.get("name"),
        "unsmooth.data_digest": data.get("digest"),
    }
    return {key: str(value)[:5000] for key, value in stated.items() if value is not None}


def measurements(recording: Recording) -> list[Measurement]:
    """The events of all attempts, then the result. Where a resumed job repeated a step, what it said last counts."""
    job, latest = recording.folder, {}
    for attempt in job.attempts():
        for _, event in read_events(job.attempt(attempt).events):
            for name, value in event.get("values", {}).items() if event["kind"] == "metrics" else ():
                measured = Measurement(metric_key(name), int(event["step"]), float(value), int(event["time"] * 1000))
                latest[measured.key, measured.step] = measured
    return [*latest.values(), *_final(recording.result, int(job.result.stat().st_mtime * 1000))]


def _final(result: Result, time_ms: int) -> Iterator[Measurement]:
    """Step 0 but for the profile: MLflow draws what has no other step as bars, side by side."""
    for name, metric in result.numbers.get("metrics", {}).items():
        yield Measurement(metric_key(name), 0, float(metric["value"]), time_ms)
    primary = result.numbers.get("metrics", {}).get(result.numbers.get("primary"))
    if primary is not None and result.status == "ok":
        yield Measurement(PRIMARY, 0, float(primary["value"]), time_ms)
    for name, cost in result.cost.items():
        if isinstance(cost, int | float) and not isinstance(cost, bool):
            yield Measurement(metric_key(f"cost/{name}"), 0, float(cost), time_ms)
    for layer in result.numbers.get("profile", ()):
        for name in PROFILE:
            if layer.get(name) is not None:
                key = metric_key(f"profile/{layer['stack']}/{layer['site']}/{name}")
                yield Measurement(key, int(layer["layer"]), float(layer[name]), time_ms)
    yield Measurement("attempts", 0, float(result.attempt), time_ms)


def metric_key(name: str) -> str:
    """MLflow takes letters, digits, and `_ - . / :` and space."""
    return re.sub(r"[^\w\-./: ]", "_", name)


def figure(results: Sequence[Result]) -> Figure | None:
    """The over-smoothing metrics of a row against the layer, averaged over seeds; None where there is no profile."""
    layers = [layer for one in results for layer in one.numbers.get("profile", ())]
    if not layers:
        return None
    drawing = Figure(figsize=(16, 7))  # spaced by hand and with few ticks: half the time of an automatic layout
    drawing.subplots_adjust(left=0.05, right=0.99, bottom=0.08, top=0.98, wspace=0.25, hspace=0.22)
    for axes, (metric, title) in zip(drawing.subplots(2, 4).flat, PROFILE.items(), strict=True):
        for name, points in _lines(layers, metric).items():
            axes.plot(list(points), [fmean(values) for values in points.values()], marker="o", markersize=3, label=name)
        axes.set(xlabel="layer", ylabel=title)
        axes.locator_params(nbins=5)
        axes.grid(alpha=0.3)
    drawing.axes[0].legend(fontsize="small")  # attention alone has lines in the last
    return drawing


def _lines(layers: Sequence[Mapping[str, Any]], metric: str) -> dict[str, dict[int, list[float]]]:
    lines: dict[str, dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    for layer in sorted(layers, key=lambda layer: int(layer["layer"])):
        if layer.get(metric) is not None:
            lines[f"{layer['stack']}, {layer['site']}"][layer["layer"]].append(layer[metric])
    return lines
