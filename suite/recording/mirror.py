"""What lies where in MLflow, and how it gets there exactly once.

    experiment unsmooth/<task>          tags unsmooth.row and unsmooth.job_id make every run findable,
                                        unsmooth.runs says which runs folder it mirrors: others are left alone
      parent run, one per row           mean of the primary metric over its seeds
        child run, one per job          parameters, curves, final numbers, costs, profile by layer, files
    experiment unsmooth/leaderboard     one run per plan, the board's files as artefacts

A child run is whole once its tag `unsmooth.recorded` holds the digest of the job's result: that tag is written last.
Any other run of that job is what an interruption left, or an older result, and is deleted before it is written anew.
"""

import hashlib
import uuid
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import fmean, stdev

from mlflow import MlflowClient
from mlflow.entities import Metric, Param, Run

from jobs.contract import file_sha256, read_json, write_json
from suite.planning.labels import variant_label
from suite.planning.manifest import load_all
from suite.recording.measurements import Recording, figure, load, measurements, metric_key, parameters, tags

BATCH = 1000
"""Metrics in one request: MLflow's own limit."""

JOB, ROW, RECORDED, BOARD = "unsmooth.job_id", "unsmooth.row", "unsmooth.recorded", "unsmooth.board"
RUNS = "unsmooth.runs"


def identity(runs: Path) -> str:
    """The id of a runs folder, made up once and kept in it: it stays the same when the folder moves."""
    path = runs / ".id"
    if not path.exists():  # there is one writer, so nobody else makes one up meanwhile
        write_json(path, {"id": uuid.uuid4().hex})
    return str(read_json(path)["id"])


class Experiment:
    """One MLflow experiment and what it holds already of one runs folder."""

    def __init__(self, client: MlflowClient, name: str, artifacts: str | None, owner: str) -> None:
        self.id = _experiment_id(client, name, artifacts)
        self.jobs: dict[str, list[Run]] = {}
        self.rows: dict[str, list[Run]] = {}
        for run in _all_runs(client, self.id, owner):
            for tag, index in ((JOB, self.jobs), (ROW, self.rows)):
                if tag in run.data.tags and (tag == JOB or JOB not in run.data.tags):
                    index.setdefault(run.data.tags[tag], []).append(run)


def _experiment_id(client: MlflowClient, name: str, artifacts: str | None) -> str:
    found = client.get_experiment_by_name(name)
    if found is None:
        return str(client.create_experiment(name, artifact_location=artifacts))
    if found.lifecycle_stage == "deleted":
        client.restore_experiment(found.experiment_id)
    return str(found.experiment_id)


def _all_runs(client: MlflowClient, experiment: str, owner: str) -> Iterator[Run]:
    owned, token = f"tags.`{RUNS}` = '{owner}'", None
    while True:
        page = client.search_runs(
            [experiment], owned, max_results=BATCH, page_token=token, order_by=["attribute.start_time"]
        )
        yield from page
        token = page.token
        if not token:
            return


class Mirror:
    """Writes jobs, rows and boards; every method may be repeated, and interrupted anywhere."""

    def __init__(self, runs: Path, uri: str) -> None:
        self.runs = runs
        self.owner = identity(runs)
        self.client = MlflowClient(tracking_uri=uri)
        self.artifacts = (runs / "mlruns").as_uri() if uri.startswith("sqlite:") else None  # else the server decides
        self.experiments: dict[str, Experiment] = {}
        self.planned = {job.id: (plan.tier, job.label) for plan in load_all(runs) for job in plan.jobs}

    def experiment(self, name: str) -> Experiment:
        """Read once, then kept up to date by the writing methods: there is one writer."""
        if name not in self.experiments:
            self.experiments[name] = Experiment(self.client, f"unsmooth/{name}", self.artifacts, self.owner)
        return self.experiments[name]

    def forget(self) -> None:
        """After an error nobody knows what arrived."""
        self.experiments.clear()

    def job(self, name: str) -> bool:
        """Record one job; False where it was there already."""
        recording = load(self.runs / name)
        experiment = self.experiment(recording.spec.task)
        whole = None
        for run in experiment.jobs.pop(name, []):
            if whole is None and _says(run, recording):
                whole = run
            else:
                self.client.delete_run(run.info.run_id)
        written = whole or self._write(recording, experiment)
        experiment.jobs[name] = [written]
        return whole is None

    def _write(self, recording: Recording, experiment: Experiment) -> Run:
        measured = measurements(recording)
        run_id = self.client.create_run(
            experiment.id,
            start_time=min(one.time_ms for one in measured),
            run_name=f"{variant_label(recording.spec)} seed {recording.spec.seed}",
            tags={**tags(recording), **self._keys(recording, experiment)},
        ).info.run_id
        self._params(run_id, parameters(recording.spec, seed=True))
        metrics = [Metric(one.key, one.value, one.time_ms, one.step) for one in measured]
        for start in range(0, len(metrics), BATCH):
            self.client.log_batch(run_id, metrics=metrics[start : start + BATCH])
        for file in recording.files():
            self.client.log_artifact(run_id, str(file))
        status = "FINISHED" if recording.result.status in ("ok", "skipped") else "FAILED"
        self.client.set_terminated(run_id, status, end_time=max(one.time_ms for one in measured))
        self.client.set_tag(run_id, RECORDED, recording.digest)
        return self.client.get_run(run_id)

    def _keys(self, recording: Recording, experiment: Experiment) -> dict[str, str]:
        tier, _ = self.planned.get(recording.result.id, ("unknown", ""))
        parent = self._parent(recording, experiment).info.run_id
        keys = {RUNS: self.owner, JOB: recording.spec.id, ROW: recording.row}
        return {**keys, "unsmooth.tier": tier, "mlflow.parentRunId": parent}

    def _params(self, run_id: str, values: Mapping[str, str]) -> None:
        params = [Param(key, value) for key, value in values.items()]
        for start in range(0, len(params), 100):  # MLflow's limit
            self.client.log_batch(run_id, params=params[start : start + 100])

    def _parent(self, recording: Recording, experiment: Experiment) -> Run:
        known = experiment.rows.get(recording.row)
        if not known:
            _, label = self.planned.get(recording.result.id, ("", recording.spec.task))
            name = f"{variant_label(recording.spec)} · {label}"
            run = self.client.create_run(experiment.id, run_name=name, tags={RUNS: self.owner, ROW: recording.row})
            known = experiment.rows[recording.row] = [run]
        return known[0]

    def summarise(self, names: Sequence[str]) -> None:
        """Bring the parents of these jobs up to date."""
        for task, row in sorted({(one.spec.task, one.row) for one in (load(self.runs / name) for name in names)}):
            experiment = self.experiment(task)
            parent, *spare = experiment.rows[row]
            for run in spare:  # made by a request whose answer was lost, so without children
                self.client.delete_run(run.info.run_id)
            seeds = [run for runs in experiment.jobs.values() for run in runs if run.data.tags[ROW] == row]
            digest = _digest(sorted(run.data.tags.get(RECORDED, "") for run in seeds))
            if parent.data.tags.get(RECORDED) != digest:
                self._summarise(parent.info.run_id, seeds)
                self.client.set_tag(parent.info.run_id, RECORDED, digest)
            experiment.rows[row] = [self.client.get_run(parent.info.run_id)]

    def _summarise(self, parent: str, seeds: Sequence[Run]) -> None:
        """Mean and standard deviation of the primary metric, and the profile as a figure."""
        recordings = [
            load(self.runs / run.data.tags[JOB]) for run in seeds if (self.runs / run.data.tags[JOB]).exists()
        ]
        self._params(parent, parameters(recordings[0].spec, seed=False))
        values = [one.value for one in recordings if one.value is not None]
        end_ms = max(run.info.end_time or 0 for run in seeds)
        metrics = {"seeds": float(len(values))}
        if values:
            primary = str(next(one.result.numbers["primary"] for one in recordings if one.value is not None))
            metrics |= {metric_key(primary): fmean(values)}
            metrics |= {metric_key(f"{primary}/sd"): stdev(values)} if len(values) > 1 else {}
        self.client.log_batch(parent, metrics=[Metric(key, v, end_ms, len(values)) for key, v in metrics.items()])
        drawing = figure(recordings)
        if drawing is not None:
            self.client.log_figure(parent, drawing, "profile.png")
        self.client.set_terminated(parent, "FINISHED", end_time=end_ms)

    def board(self, name: str, files: Sequence[Path]) -> bool:
        """Keep a plan's board as one run; False where the same files are there already."""
        experiment = _experiment_id(self.client, "unsmooth/leaderboard", self.artifacts)
        digest = _digest([f"{path.name} {file_sha256(path)}" for path in files])
        boards = [run for run in _all_runs(self.client, experiment, self.owner) if run.data.tags.get(BOARD) == name]
        for spare in boards[1:]:
            self.client.delete_run(spare.info.run_id)
        if boards and boards[0].data.tags.get(RECORDED) == digest:
            return False
        keys = {RUNS: self.owner, BOARD: name}
        run = boards[0] if boards else self.client.create_run(experiment, run_name=name, tags=keys)
        for path in files:
            self.client.log_artifact(run.info.run_id, str(path))
        self.client.set_terminated(run.info.run_id, "FINISHED")
        self.client.set_tag(run.info.run_id, RECORDED, digest)
        return True


def _says(run: Run, recording: Recording) -> bool:
    """Whether a run holds all of a job as it is on disk, in the row where it belongs."""
    tags = run.data.tags
    return (tags.get(RECORDED), tags.get(ROW)) == (recording.digest, recording.row)


def _digest(lines: Sequence[str]) -> str:
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
