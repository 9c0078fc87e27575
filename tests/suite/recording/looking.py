"""What is recorded, read back: shared by the tests of recording."""

from collections import Counter

from mlflow import MlflowClient
from mlflow.entities import Run, ViewType

from suite.planning.manifest import Manifest
from suite.recording.mirror import Mirror

CHOSEN = {"classification": ("softmax", "attnscale"), "language": ("featscale",), "segmentation": ("featscale",)}
"""Of the fixture's jobs: 3 finished, 1 failed, 2 skipped, 2 blocked."""


def chosen(manifest: Manifest) -> list[str]:
    return [job.id for job in manifest.jobs if job.spec.variant in CHOSEN.get(job.spec.task, ())]


def everything(uri: str, view: int = ViewType.ACTIVE_ONLY) -> list[Run]:
    client = MlflowClient(tracking_uri=uri)
    experiments = [e.experiment_id for e in client.search_experiments() if e.name.startswith("unsmooth/")]
    return list(client.search_runs(experiments, run_view_type=view, max_results=1000))


def summarise(mirror: Mirror, names: list[str]) -> None:
    for row in mirror.stale_rows(names):
        mirror.summarise(*row)


def of_jobs(runs: list[Run]) -> dict[str, Run]:
    """By job id; fails where a job is there twice."""
    ids = Counter(run.data.tags["unsmooth.job_id"] for run in runs if "unsmooth.job_id" in run.data.tags)
    assert set(ids.values()) <= {1}, ids
    return {run.data.tags["unsmooth.job_id"]: run for run in runs if "unsmooth.job_id" in run.data.tags}
