"""Replaying job folders into MLflow on PostgreSQL: `python -m tests.benchmarks.tracking [RUNS] [SMALL]` (root, Linux).

Two folders are written: RUNS jobs of 50 metrics at 100 steps each, and SMALL jobs of few values. Both go through the
product's own path into a real server on a real database. Beside the first, naive calls of `log_metric`, one request a
value, are timed on a sample. Goal: 20 times their rate.
"""

import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from mlflow import MlflowClient

from jobs.contract import JobFolder, JobSpec, Result
from suite.recording import record
from tests.benchmarks.measure import table
from tests.faults.postgres import Postgres
from tests.suite.mlflow_server import Server

METRICS, STEPS, SEEDS, SAMPLE = 50, 100, 3, 300
RUNS, SMALL = 2_000, 10_000


def write_jobs(runs: Path, count: int, *, steps: int) -> list[str]:
    """Finished jobs, three seeds a row; their ids."""
    return [_write(runs, number, steps) for number in range(count)]


def _write(runs: Path, number: int, steps: int) -> str:
    spec = JobSpec(
        task="graph",
        data="karate",
        split="public",
        arguments={"model": "gcn", "depth": 2 + number // SEEDS, "width": 1 + steps},
        variant="softmax",
        variant_arguments={},
        seed=number % SEEDS,
        steps=100,
        global_batch=1,
    )
    folder = JobFolder(runs / spec.id)
    spec.save(folder.spec)
    events = folder.attempt(1).events
    events.parent.mkdir(parents=True)
    lines = (_event(step) for step in range(1, steps + 1))
    events.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    accuracy = {"value": 80.0 + number % 7, "unit": "%", "better": "higher"}
    numbers = {"primary": "accuracy", "metrics": {"accuracy": accuracy}, "steps_done": steps, "profile": []}
    Result(id=spec.id, attempt=1, status="ok", numbers=numbers, cost={"wall_s": 9.0}).save(folder.result)
    return spec.id


def _event(step: int) -> str:
    values = {f"train/metric-{index}": step / (index + 1) for index in range(METRICS)}
    return json.dumps({"time": 1.7e9 + step, "kind": "metrics", "step": step, "values": values})


def naive(uri: str) -> float:
    """Seconds a value when every value is a request."""
    client = MlflowClient(tracking_uri=uri)
    run = client.create_run(client.create_experiment(f"naive-{time.time_ns()}"))
    began = time.perf_counter()
    for index in range(SAMPLE):
        client.log_metric(run.info.run_id, "loss", 1.0 / (index + 1), step=index)
    return (time.perf_counter() - began) / SAMPLE


def seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def replay(runs: Path, ids: list[str], uri: str) -> float:
    """Seconds to record all of them; fails if one is missing."""
    began = time.perf_counter()
    summary = record.save(runs, ids, uri, give_up_s=600)
    assert not summary.missing, summary.sentence()
    return time.perf_counter() - began


def search(uri: str, depth: int) -> None:
    """What the interface asks for a row's seeds, of the jobs without curves."""
    client = MlflowClient(tracking_uri=uri)
    experiment = client.get_experiment_by_name("unsmooth/graph")
    assert experiment is not None
    wanted = f"params.`task.depth` = '{depth}' AND params.`task.width` = '1'"
    found = client.search_runs([experiment.experiment_id], wanted)
    assert len(found) == SEEDS + 1, len(found)


def measure(folder: Path, uri: str, count: int, small: int) -> list[tuple[str, str]]:
    values = count * METRICS * STEPS
    large, few = folder / "large", folder / "small"
    ids, many = write_jobs(large, count, steps=STEPS), write_jobs(few, small, steps=0)
    before = naive(uri)
    took_s = replay(large, ids, uri)
    alone_s = (before + naive(uri)) / 2
    small_s = replay(few, many, uri)
    again_s = replay(few, many, uri)
    found_s = min(seconds(lambda: search(uri, 2 + small // SEEDS // 2)) for _ in range(3))
    return [
        (f"{count:,} runs of {METRICS} metrics at {STEPS} steps, {values:,} values", f"{took_s:,.0f} s"),
        ("values a second", f"{values / took_s:,.0f}"),
        ("times the rate of single `log_metric` calls, taken before and after", f"{alone_s * values / took_s:,.0f}"),
        (f"{small:,} further runs of few values: runs a second", f"{small / small_s:,.1f}"),
        ("recording those again, with nothing new", f"{again_s:,.1f} s"),
        ("searching a row's runs by a parameter among all of them", f"{1000 * found_s:,.0f} ms"),
    ]


def main() -> None:
    count, small = (int(text) for text in (sys.argv[1:] + [str(RUNS), str(SMALL)][len(sys.argv) - 1 :])[:2])
    with tempfile.TemporaryDirectory() as data, tempfile.TemporaryDirectory() as files:
        database = Postgres(Path(data))
        server = Server(Path(files), store=database.uri)
        try:
            server.start()
            found = measure(Path(files), server.uri, count, small)
        finally:
            server.kill()
            database.kill()
    print(table("Recording into MLflow on PostgreSQL", ("measured", "value"), found))


if __name__ == "__main__":
    main()
