"""How the jobs of a runs folder stand, from the files alone: no Ray, no plan file, no torch."""

from collections.abc import Sequence
from pathlib import Path

from jobs.contract import ContractError, JobFolder, JobSpec
from suite.errors import UsageError, unknown
from suite.planning import manifest
from suite.planning.labels import variant_label
from suite.running import lock, prepare, state
from suite.running.state import JobState
from suite.running.vitals import Vitals


def read(runs: Path, *, plan: str | None = None, going_on: bool = False) -> list[JobState]:
    """Every job of the plan called `plan`, or of all plans that were run into `runs`, in order.

    Args:
        going_on: somebody works there whom the lock does not show: on another machine.

    Raises:
        UsageError: the folder does not exist, or no plan of that name was run into it.
    """
    if not runs.is_dir():
        raise UsageError(f"There is no runs folder {runs}. Start a run, or name another folder with --runs.")
    names = _names(runs, plan)
    going_on = going_on or lock.held(runs)
    return [of_job(JobFolder(runs / job_id), name=name, going_on=going_on) for job_id, name in names.items()]


def of_job(folder: JobFolder, *, name: str, going_on: bool) -> JobState:
    """The state of one job; `going_on` says whether a driver works in the runs folder."""
    attempts = folder.attempts()
    result = state.finished(folder)
    if result is not None and result.attempt >= max(attempts, default=0):
        return state.of_result(result, name=name)
    if not attempts:
        return JobState(id=folder.root.name, name=name)
    vitals = Vitals(folder.attempt(attempts[-1]).events)
    vitals.refresh()
    running = going_on and not prepare.ending_path(folder, attempts[-1]).exists()
    shown = "running" if running else "waiting" if going_on else "interrupted"
    return state.of_vitals(vitals, id=folder.root.name, name=name, state=shown, attempts=attempts[-1])


def _names(runs: Path, plan: str | None) -> dict[str, str]:
    """Names of the jobs by id, in the order of the plans; without `plan` also of folders that no plan lists."""
    try:
        manifests = manifest.load_all(runs)
    except ContractError as error:
        raise UsageError(f"{error} Run the plan again to write it anew.") from error
    if plan is not None:
        manifests = [found for found in manifests if found.name == plan] or _unknown(plan, manifests)
    names = {job.id: _name(job.entry, job.spec) for found in manifests for job in found.jobs}
    if plan is None:
        for path in sorted(runs.glob("*/spec.json")):
            names.setdefault(path.parent.name, _name_of(path))
    return names


def _unknown(plan: str, manifests: Sequence[manifest.Manifest]) -> list[manifest.Manifest]:
    raise UsageError(unknown("plan", plan, [found.name for found in manifests]))


def _name_of(path: Path) -> str:
    try:
        spec = JobSpec.load(path)
    except ContractError as error:
        return str(error)
    return _name(spec.task, spec)


def _name(entry: str, spec: JobSpec) -> str:
    return f"{entry}/{spec.data}/{variant_label(spec)}/seed {spec.seed}"
