"""A realistic runs folder without running anything: four tasks, six variants, failures, skips and pending jobs."""

import dataclasses
import json
import math
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jobs.contract import JobFolder, JobSpec, Launch, Result, write_json
from suite.planning.labels import setting_label
from suite.planning.manifest import Manifest, PlannedJob, Prediction, save

VARIANTS: dict[str, dict[str, Any]] = {
    "softmax": {},
    "neutreno": {"lam": 0.6},
    "centered": {"gamma": 1.0},
    "attnscale": {},
    "featscale": {},
    "value_residual": {"l1": 0.5, "l2": 0.5},
}
GAIN = {"softmax": 0.0, "neutreno": 1.4, "centered": 0.9, "attnscale": 0.3, "featscale": -0.8, "value_residual": 1.1}
LABELS = ("model", "depth")
COMMAND = ("unsmooth", "run", "smoke", "--runs", "my runs")


@dataclasses.dataclass(frozen=True)
class Place:
    """One setting of the fixture: what is run, how deep, and roughly what the baseline reaches."""

    task: str
    data: str
    arguments: dict[str, Any]
    depth: int
    metric: dict[str, str]
    level: float
    stacks: tuple[str, ...] = ("encoder",)


PERCENT = {"unit": "%", "better": "higher"}
PLACES = (
    Place("classification", "digits", {"model": "tiny"}, 12, {"name": "top-1", **PERCENT}, 88.0),
    Place(
        "segmentation",
        "digit-scenes",
        {"model": "segmenter"},
        6,
        {"name": "mIoU", **PERCENT},
        41.0,
        ("encoder", "decoder"),
    ),
    Place(
        "language", "pydoc", {"depth": 8}, 8, {"name": "perplexity", "unit": "", "better": "lower"}, 61.0, ("decoder",)
    ),
    Place("graph", "karate", {"model": "gcn", "depth": 4}, 4, {"name": "accuracy", **PERCENT}, 91.0, ("body",)),
    Place("graph", "karate", {"model": "gcn", "depth": 12}, 12, {"name": "accuracy", **PERCENT}, 55.0, ("body",)),
)

LOG = [
    "step 36 loss 4.131",
    'step 37 loss <inf> & "more" <script>alert(1)</script>',
    "jobs.training.loop.NotANumber: loss is nan at step 38",
]


def specs(place: Place, variant: str, seeds: Sequence[int]) -> list[JobSpec]:
    return [
        JobSpec(
            task=place.task,
            data=place.data,
            split="default",
            arguments=place.arguments,
            variant=variant,
            variant_arguments=VARIANTS[variant],
            seed=seed,
            steps=60,
            global_batch=32,
        )
        for seed in seeds
    ]


def write_runs(
    runs: Path,
    *,
    seeds: Sequence[int] = (0, 1),
    tier: str = "development",
    name: str = "smoke",
    places: Sequence[Place] = PLACES,
) -> Manifest:
    """The whole folder: results, events, provenance and the plan's manifest."""
    jobs = []
    for place in places:
        for variant in VARIANTS:
            for spec in specs(place, variant, seeds):
                write_job(runs, spec, place)
                label, predicted = setting_label(spec, LABELS), prediction(place)
                jobs.append(PlannedJob(id=spec.id, entry=place.task, label=label, spec=spec, predicted=predicted))
    tasks = {place.task: {"metric": place.metric, "label": list(LABELS)} for place in places}
    created = "2026-11-23T08:00:00+00:00"
    manifest = Manifest(name=name, tier=tier, created=created, jobs=tuple(jobs), tasks=tasks, command=COMMAND)
    save(manifest, runs)
    return manifest


def prediction(place: Place) -> Prediction | None:
    """A tenth too much; of one task none was kept."""
    if place.task == "segmentation":
        return None
    return Prediction(wall_s=1.1 * (3 * place.depth + 3), peak_bytes=4e8, origin="guessed")


def write_job(runs: Path, spec: JobSpec, place: Place) -> None:
    """One job's folder. Which ones fail, are skipped or are still to run follows from the spec, not from chance."""
    folder = JobFolder(runs / spec.id)
    spec.save(folder.spec)
    if (spec.task, spec.variant, spec.seed) == ("segmentation", "attnscale", 1):
        return
    write_result(folder, spec, ending(spec) or finished(spec, place))


def ending(spec: JobSpec) -> dict[str, Any] | None:
    """How the few jobs end that do not finish."""
    match (spec.task, spec.variant, spec.seed):
        case ("language", "featscale", _):
            return {
                "status": "skipped",
                "reason": "featscale uses the mean over all tokens; language is causal.",
                "exit_code": 0,
            }
        case ("classification", "attnscale", 1):
            reason, advice = "The loss became nan at step 38.", "It is a finding: lower the learning rate or report it."
            return {
                "status": "failed",
                "failure": "nan",
                "reason": reason,
                "advice": advice,
                "exit_code": 1,
                "log_tail": LOG,
            }
        case ("segmentation", "featscale", _):
            reason = "Its upstream job in classification failed."
            return {"status": "blocked", "reason": reason, "advice": "Run the upstream job first."}
    return None


def finished(spec: JobSpec, place: Place) -> dict[str, Any]:
    rng = random.Random(f"{spec.task}{spec.arguments}{spec.seed}")
    noise = random.Random(f"{spec.id}").gauss(0, 0.15)
    sign = 1 if place.metric["better"] == "higher" else -1
    rescue = 18 * (place.depth == 12 and place.task == "graph" and GAIN[spec.variant] > 0)
    value = round(place.level + rng.gauss(0, 0.8) + sign * GAIN[spec.variant] + rescue + noise, 4)
    metric = {"value": value, "unit": place.metric["unit"], "better": place.metric["better"]}
    profile = [layer for stack in place.stacks for layer in profile_of(spec, stack, place.depth)]
    step_s = 0.05 * place.depth * (1 + abs(GAIN[spec.variant]) / 30)
    cost = {"wall_s": 60 * step_s + 3, "train_s": 60 * step_s, "step_s": step_s, "peak_bytes": 412_000_000}
    return {
        "status": "ok",
        "exit_code": 0,
        "numbers": {
            "primary": place.metric["name"],
            "metrics": {place.metric["name"]: metric},
            "steps_done": 60,
            "profile": profile,
            "curve": [],
        },
        "cost": {**cost, "parameters": 6_860_899 if spec.variant == "value_residual" else 5_717_416, **machine(spec)},
    }


def machine(spec: JobSpec) -> dict[str, Any]:
    """Language is trained on two GPUs, the rest on the CPU; of graphs the energy is known too."""
    if spec.task == "language":
        return {"processes": 2, "device": "NVIDIA H100 80GB HBM3", "energy_j": 9_000.0}
    return {"processes": 1, "device": "cpu"} | ({"energy_j": 250.0} if spec.task == "graph" else {})


def profile_of(spec: JobSpec, stack: str, depth: int) -> list[dict[str, Any]]:
    """Tokens become alike with depth, less so for variants that help."""
    rate = 0.35 * math.exp(-0.5 * GAIN[spec.variant])
    layers = []
    for layer in range(depth):
        for site, shift in (("block", 0.0), ("branch", 0.08)):
            cosine = round(1 - (0.9 - shift) * math.exp(-rate * layer) + 0.002 * spec.seed, 5)
            row = {
                "cosine": cosine,
                "residual": round(1 - cosine**2 + 1e-3, 5),
                "rank": round(60 * (1.01 - cosine), 4),
                "norm": 4.0 + 0.5 * layer,
            }
            if site == "branch" and stack != "graph":
                row |= {"entropy": round(3.0 - 0.1 * layer, 5), "first": 0.05}
            layers.append({"stack": stack, "layer": layer, "site": site, **row})
    return layers


def write_result(folder: JobFolder, spec: JobSpec, outcome: dict[str, Any]) -> None:
    """What job and supervisor leave behind: attempt 1 with its events, and the published result."""
    attempt = folder.attempt(1)
    git = {"sha": "0123456789abcdef0123456789abcdef01234567", "dirty": False}
    Launch(attempt=1, git=git).save(attempt.launch)
    command = ["python", "-m", "jobs", f"runs/{spec.id}"]
    data = {"name": spec.data, "digest": "sha256:5f2c"}
    write_json(
        attempt.provenance,
        {
            **{"git": git, "code": {}, "packages": {"torch": "2.13.0"}, "python": "3.11.9", "data": data},
            **{"command": command, "hardware": {"processor": "AMD EPYC, AVX2"}},
        },
    )
    attempt.events.write_text("".join(json.dumps(event) + "\n" for event in events(outcome)), encoding="utf-8")
    Result(id=spec.id, attempt=1, **outcome).save(folder.result)


def events(outcome: dict[str, Any]) -> list[dict[str, Any]]:
    """Loss every step, metrics every tenth, as a job writes them."""
    lines: list[dict[str, Any]] = [{"time": 1_790_000_000.0, "kind": "phase", "phase": "train"}]
    for step in range(1, 61 if outcome["status"] == "ok" else 38 if outcome["status"] == "failed" else 1):
        values = {"train/loss": round(4 / step, 5), "train/step_s": 0.05}
        lines.append({"time": 1_790_000_000.0 + step, "kind": "metrics", "step": step, "values": values})
    return lines
