"""The parent runs, one per row of the board, whichever machines its seeds were recorded from.

Of several parents of a row the one with the smallest run id stays, and the others' children move to it before they go.
What a parent says is taken from the children on the server, and looked at again after it was written: so the last of
several writers has seen all of them.
"""

import tempfile
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import fmean, stdev

from mlflow.entities import Metric, Run
from mlflow.exceptions import MlflowException

from jobs.contract import Result, file_sha256
from suite.recording.layout import (
    JOB,
    PARENT,
    PRIMARY,
    RECORDED,
    RESULT,
    ROW,
    SEEDS,
    SHORT,
    SPREAD,
    covering,
    holders,
    row_note,
    tagged,
)
from suite.recording.measurements import figure, metric_key
from suite.recording.server import NOTE, Server

TRIES = 5
"""How often a parent is written before its children have to hold still."""

COST = "cost/"

_drawing = threading.Lock()


class Rows:
    """Finds, makes and writes parents. Safe to use from several threads."""

    def __init__(self, server: Server, runs: Path, holder: str) -> None:
        self.server, self.runs, self.holder = server, runs, holder
        self._lock = threading.Lock()
        self._parents: dict[tuple[str, str], str] = {}

    def forget(self) -> None:
        """After an error nobody knows what arrived."""
        with self._lock:
            self._parents.clear()

    def parent(self, experiment: str, row: str, name: str, start_ms: int) -> str:
        """The id of the run that a new child is nested under; if it is made now, it began with this child."""
        with self._lock:
            if (experiment, row) not in self._parents:
                self._parents[experiment, row] = str(self._find(experiment, row, name, start_ms).info.run_id)
            return self._parents[experiment, row]

    def _find(self, experiment: str, row: str, name: str, start_ms: int | None = None) -> Run:
        found = self._all(experiment, row)
        if not found:
            mine = self.server.create(experiment, name, {ROW: row, self.holder: "held"}, start_ms)
            found = self._all(experiment, row)
            for later in found[1:]:
                if later.info.run_id == mine.info.run_id:
                    self.server.delete(later)  # it has no children yet
        if not found:
            raise MlflowException(f"The run of row {row} was deleted while it was made.")
        self.server.hold(found[0], [self.holder])
        return found[0]

    def _all(self, experiment: str, row: str) -> list[Run]:
        return [run for run in self.server.search([experiment], tagged(ROW, row)) if JOB not in run.data.tags]

    def summarise(self, experiment: str, row: str, name: str) -> bool:
        """Leave one parent, with all children below it, that says what they say; False where it did."""
        for tried in range(TRIES):
            found = self.server.search([experiment], tagged(ROW, row))
            parents = [run for run in found if JOB not in run.data.tags] or [self._find(experiment, row, name)]
            children = [run for run in found if JOB in run.data.tags]
            self._gather(parents, children)
            whole = [run for run in children if RECORDED in run.data.tags]
            covered = covering([run.data.tags[RECORDED] for run in whole])
            if parents[0].data.tags.get(RECORDED) == covered or not whole:
                return tried > 0
            self._write(parents[0], whole, covered)
        return True

    def _gather(self, parents: Sequence[Run], children: Iterable[Run]) -> None:
        first = parents[0].info.run_id
        for child in children:
            if child.data.tags.get(PARENT) != first:
                self.server.tag(child, PARENT, first)
        for spare in parents[1:]:
            self.server.delete(spare)
        self.server.hold(parents[0], {self.holder}.union(*(holders(run.data.tags) for run in parents)))

    def _write(self, parent: Run, children: Sequence[Run], covered: str) -> None:
        seeds = one_per_job(children)
        results = [result for result in map(self._result, seeds) if result is not None]
        values = [run.data.metrics[PRIMARY] for run in seeds if PRIMARY in run.data.metrics]
        primary = next((run.data.tags["unsmooth.primary"] for run in seeds if PRIMARY in run.data.metrics), None)
        now_ms = int(time.time() * 1000)
        metrics = [Metric(key, value, now_ms, 0) for key, value in _means(primary, values, seeds).items()]
        marks = {NOTE: row_note(primary, len(values)), **({"unsmooth.primary": primary} if primary else {})}
        params = {key: value for key, value in seeds[0].data.params.items() if key != "seed"}
        for used in seeds[0].inputs.dataset_inputs if seeds[0].inputs else ():
            self.server.used(parent, used.dataset.name, used.dataset.digest)
        self._draw(parent, results)
        self.server.end(parent, "FINISHED", max(parent.info.start_time, *(run.info.end_time or 0 for run in seeds)))
        self.server.write(parent, metrics=metrics, params=params, tags={**marks, RECORDED: covered})

    def _draw(self, parent: Run, results: Sequence[Result]) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "profile.png"
            with _drawing:  # matplotlib is not made for several threads
                drawing = figure(results)
                if drawing is not None:
                    drawing.savefig(path)
            if path.exists():
                self.server.keep(parent, [path])

    def _result(self, run: Run) -> Result | None:
        """What a child was recorded from: the file on this disk if it is the same, otherwise the server's copy."""
        if PRIMARY not in run.data.metrics:
            return None
        path = self.runs / run.data.tags[JOB] / "result.json"
        if path.exists() and file_sha256(path) == run.data.tags[RECORDED]:
            return Result.load(path)
        with tempfile.TemporaryDirectory() as folder:
            return Result.load(self.server.fetch(run, "result.json", Path(folder)))


def one_per_job(children: Iterable[Run]) -> list[Run]:
    """Of jobs that were run on several machines, the result that was there first: a seed counts once."""
    first: dict[str, Run] = {}
    for run in sorted(children, key=lambda run: (run.info.end_time or 0, run.info.run_id)):
        first.setdefault(run.data.tags[JOB], run)
    return sorted(first.values(), key=lambda run: str(run.data.params.get("seed", "")))


def _means(primary: str | None, values: Sequence[float], seeds: Sequence[Run]) -> dict[str, float]:
    """Step 0 throughout: MLflow draws such metrics as bars, side by side."""
    means = {SEEDS: float(len(values))}
    if primary is not None:
        means |= {PRIMARY: fmean(values), metric_key(primary): fmean(values)}
        means |= {SPREAD: stdev(values)} if len(values) > 1 else {}
    finished = [run.data.metrics for run in seeds if PRIMARY in run.data.metrics]
    for key in sorted({key for metrics in finished for key in metrics if key.startswith(COST)}):
        means[key] = fmean(metrics[key] for metrics in finished if key in metrics)
    return means


def up_to_date(parents: Sequence[Run], children: Mapping[str, Sequence[Run]]) -> bool:
    """Whether a folder's own children of a row are all in its only parent, told from what one search has found."""
    if len(parents) != 1:
        return False
    covered = set(parents[0].data.tags.get(RECORDED, "").split())
    nested = {run.data.tags.get(PARENT) for runs in children.values() for run in runs}
    there = {run.data.tags[RESULT][:SHORT] for runs in children.values() for run in runs}
    return there <= covered and nested <= {parents[0].info.run_id} and parents[0].info.status == "FINISHED"
