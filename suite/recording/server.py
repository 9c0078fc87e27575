"""What is asked of MLflow, in as few requests as it takes; whoever asks lives with an answer that is lost."""

import threading
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, Run, RunTag
from mlflow.exceptions import MlflowException
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

BATCH, PARAMS = 1000, 100
"""Entities, and among them parameters, in one request: MLflow's own limits."""

THREADS = 4
"""Jobs in flight to a server; a database file has one writer at a time."""

LONGEST_DIGEST = 36
"""Characters of a data set's digest that MLflow keeps."""

NOTE = "mlflow.note.content"
"""The tag that MLflow's interface shows as description."""

KIND = {"mlflow.experimentKind": "custom_model_development"}
"""Lets MLflow's interface show runs and charts first, not what it has for prompts."""


class Server:
    """A tracking server or database. Safe to use from several threads."""

    def __init__(self, uri: str, artifacts: str | None) -> None:
        self.uri, self.artifacts = uri, artifacts
        self.client = MlflowClient(tracking_uri=uri)
        self.threads = THREADS if uri.startswith(("http://", "https://")) else 1
        self._experiments: dict[str, str] = {}
        self._lock = threading.Lock()

    def experiment(self, name: str, note: str) -> str:
        """The id of an experiment, which is made, or restored, if it is not there."""
        with self._lock:
            if name not in self._experiments:
                self._experiments[name] = self._experiment(name, note)
            return self._experiments[name]

    def _experiment(self, name: str, note: str) -> str:
        found = self.client.get_experiment_by_name(name)
        if found is None:
            try:
                tags = {NOTE: note, **KIND}
                return str(self.client.create_experiment(name, artifact_location=self.artifacts, tags=tags))
            except MlflowException as error:
                if error.error_code != "RESOURCE_ALREADY_EXISTS":
                    raise
                found = self.client.get_experiment_by_name(name)  # somebody was faster
        if found is None:
            raise MlflowException(f"The experiment {name} is neither there nor can it be made.")
        if found.lifecycle_stage == "deleted":
            self.client.restore_experiment(found.experiment_id)
        if NOTE not in found.tags:
            self.client.set_experiment_tag(found.experiment_id, NOTE, note)
        return str(found.experiment_id)

    def search(self, experiments: Sequence[str], wanted: str) -> list[Run]:
        """All runs that a filter finds, the smallest run id first."""
        runs: list[Run] = []
        token = None
        while experiments:
            page = self.client.search_runs(list(experiments), wanted, max_results=BATCH, page_token=token)
            runs += page
            token = page.token
            if not token:
                break
        return sorted(runs, key=lambda run: str(run.info.run_id))

    def ours(self) -> list[str]:
        """The ids of all experiments of the suite."""
        found = self.client.search_experiments(filter_string="name LIKE 'unsmooth/%'")
        return [str(one.experiment_id) for one in found]

    def create(self, experiment: str, name: str, tags: Mapping[str, str], start_ms: int | None = None) -> Run:
        """A run that has just begun."""
        return self.client.create_run(experiment, start_time=start_ms, run_name=name, tags=dict(tags))

    def write(self, run: Run, *, metrics: Sequence[Metric], params: Mapping[str, str], tags: Mapping[str, str]) -> None:
        """Parameters first, then metrics; the tags arrive together with the last of them, or not at all."""
        given, left = [Param(key, value) for key, value in params.items()], list(metrics)
        marks = [RunTag(key, value) for key, value in tags.items()]
        while True:
            some, given = given[:PARAMS], given[PARAMS:]
            room = BATCH - len(some) - len(marks)
            part, left = left[:room], left[room:]
            last = not given and not left
            self.client.log_batch(run.info.run_id, metrics=part, params=some, tags=marks if last else ())
            if last:
                return

    def keep(self, run: Run, files: Sequence[Path]) -> None:
        """Artefacts, without asking again where they go."""
        repository = get_artifact_repository(run.info.artifact_uri, tracking_uri=self.uri)
        for file in files:
            repository.log_artifact(str(file))  # type: ignore[no-untyped-call]

    def used(self, run: Run, data: str, digest: str) -> None:
        """The data set of a run."""
        dataset = Dataset(data, digest.rpartition(":")[2][:LONGEST_DIGEST], "unsmooth", data)
        self.client.log_inputs(run.info.run_id, [DatasetInput(dataset, [InputTag("mlflow.data.context", "training")])])

    def end(self, run: Run, status: str, end_ms: int | None = None) -> None:
        self.client.set_terminated(run.info.run_id, status, end_time=end_ms)

    def hold(self, run: Run, holders: Iterable[str]) -> None:
        """Note for whom a run stands."""
        for holder in sorted(set(holders) - run.data.tags.keys()):
            self.client.set_tag(run.info.run_id, holder, "held")

    def tag(self, run: Run, key: str, value: str) -> None:
        self.client.set_tag(run.info.run_id, key, value)

    def untag(self, run: Run, key: str) -> None:
        self.client.delete_tag(run.info.run_id, key)

    def delete(self, run: Run) -> None:
        self.client.delete_run(run.info.run_id)

    def fetch(self, run: Run, name: str, folder: Path) -> Path:
        """One artefact of a run, copied into `folder`."""
        return Path(self.client.download_artifacts(run.info.run_id, name, str(folder)))
