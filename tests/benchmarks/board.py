"""A board of 1,000 rows and three seeds: reading, building, opening: `python -m tests.benchmarks.board`.

The runs folder is synthetic and otherwise like one of graph networks: 25 settings of 2 to 64 layers, 40 variants,
over-smoothing at every layer. Building goes from rows in memory to the four files on disk; opening from the
navigation to an idle page with its tables, before any chart is looked at. Goals: 2 s to build and 1 s to open.
"""

import json
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page

from jobs.contract import JobFolder, JobSpec, Result
from suite.leaderboard.board import of
from suite.leaderboard.files import write
from suite.leaderboard.rows import read
from suite.planning.labels import setting_label
from suite.planning.manifest import Manifest, PlannedJob, Prediction
from tests.benchmarks.measure import table
from tests.suite.leaderboard.browser import chromium

DEPTHS, DATA = (2, 8, 16, 32, 64), ("cora", "citeseer", "pubmed", "actor", "chameleon")
VARIANTS, SEEDS, ROUNDS = 40, 3, 5
METRICS = ("cosine", "residual", "ratio", "energy", "rank", "norm")
METRIC = {"unit": "%", "better": "higher"}


def write_runs(runs: Path) -> Manifest:
    """3,000 finished jobs, without waiting for the disk."""
    specs = [_spec(*place) for place in _places()]
    jobs = [_job(runs, spec) for spec in specs]
    tasks = {"graph": {"metric": {"name": "accuracy", **METRIC}, "label": ["model", "depth"]}}
    created = "2026-11-27T08:00:00+00:00"
    command = ("unsmooth", "run", "large", "--data", "DATA")
    return Manifest(name="large", tier="ranked", created=created, jobs=tuple(jobs), tasks=tasks, command=command)


def _places() -> list[tuple[str, int, int, int]]:
    return [
        (data, depth, v, seed) for data in DATA for depth in DEPTHS for v in range(VARIANTS) for seed in range(SEEDS)
    ]


def _spec(data: str, depth: int, variant: int, seed: int) -> JobSpec:
    return JobSpec(
        task="graph",
        data=data,
        split="public",
        arguments={"model": "gcn", "depth": depth, "width": 64, "dropout": 0.5, "learning_rate": 0.01},
        variant=f"variant_{variant}" if variant else "softmax",
        variant_arguments={"lam": 0.6} if variant else {},
        seed=seed,
        steps=400,
        global_batch=1,
    )


def _job(runs: Path, spec: JobSpec) -> PlannedJob:
    folder = JobFolder(runs / spec.id)
    attempt = folder.attempt(1)
    attempt.root.mkdir(parents=True)
    result = Result(id=spec.id, attempt=1, status="ok", exit_code=0, numbers=_numbers(spec), cost=_cost(spec))
    git = {"git": {"sha": "0123456789abcdef0123456789abcdef01234567", "dirty": False}}
    documents = {
        folder.spec: spec.to_dict(),
        folder.result: result.to_dict(),
        attempt.provenance: {**git, "data": {"name": spec.data, "digest": "5f2c" * 16}},
    }
    for path, document in documents.items():
        path.write_text(json.dumps(document), encoding="utf-8")
    label, predicted = setting_label(spec, ("model", "depth")), Prediction(wall_s=40.0, origin="guessed")
    return PlannedJob(id=spec.id, entry="graph", label=label, spec=spec, predicted=predicted)


def _numbers(spec: JobSpec) -> dict[str, Any]:
    chance = random.Random(spec.id)
    layers = [
        {"stack": "body", "layer": layer, "site": site} | {metric: chance.random() for metric in METRICS}
        for layer in range(spec.arguments["depth"])
        for site in ("block", "branch")
    ]
    metric = {"accuracy": {"value": chance.gauss(70, 3), **METRIC}}
    return {"primary": "accuracy", "metrics": metric, "steps_done": 400, "profile": layers, "curve": []}


def _cost(spec: JobSpec) -> dict[str, Any]:
    step_s = random.Random(spec.variant).uniform(0.05, 0.1)
    once = {"wall_s": 400 * step_s + 4, "train_s": 400 * step_s, "step_s": step_s, "energy_j": None}
    return {**once, "peak_bytes": 5e8, "parameters": 1e5, "processes": 1, "device": "cpu"}


def timed(work: Callable[[], Any]) -> tuple[str, Any]:
    """Median seconds over rounds, those of them that the processor worked, and what the work gave."""
    seconds, worked = [], []
    for _ in range(ROUNDS):
        began, busy = time.perf_counter(), time.process_time()
        found = work()
        seconds.append(time.perf_counter() - began)
        worked.append(time.process_time() - busy)
    return f"{statistics.median(seconds):.2f} ({statistics.median(worked):.2f})", found


def opening(browser: Browser, html: Path) -> tuple[float, float, float]:
    """Seconds until the page is idle; then of sorting a column and of typing a filter, until the next frame."""
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.goto(html.as_uri())
    idle = "new Promise((done) => requestIdleCallback(() => done(performance.now() / 1000)))"
    opened = float(page.evaluate(idle))
    sorting = _until_shown(page, "document.querySelector('.board thead [data-column=metric] button').click()")
    filtering = _until_shown(
        page, "find.value = 'variant_7'; find.dispatchEvent(new Event('input', { bubbles: true }))"
    )
    page.close()
    return opened, sorting, filtering


def _until_shown(page: Page, act: str) -> float:
    frame = "requestAnimationFrame(() => setTimeout(() => done((performance.now() - began) / 1000)))"
    return float(page.evaluate(f"new Promise((done) => {{ const began = performance.now(); {act}; {frame}; }})"))


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        runs = Path(folder)
        manifest = write_runs(runs)
        reading, rows = timed(lambda: read(runs, manifest))
        building, files = timed(lambda: write(of(rows, manifest), runs))
        with chromium() as browser:
            seen = zip(*(opening(browser, files[0]) for _ in range(ROUNDS)), strict=True)
            opening_s, sorting_s, filtering_s = map(statistics.median, seen)
        megabytes = files[0].stat().st_size / 1e6
    line = (opening_s, sorting_s, filtering_s, megabytes)
    header = (
        "rows",
        "reading, s (of a core)",
        "building, s (of a core)",
        "opening, s",
        "sorting, s",
        "filtering, s",
        "page, MB",
    )
    print(
        table(
            "A board of 1,000 rows, three seeds each",
            header,
            [[f"{len(rows):,}", reading, building, *(f"{value:.2f}" for value in line)]],
        )
    )


if __name__ == "__main__":
    main()
