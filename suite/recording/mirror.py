"""How jobs, rows and boards get into MLflow exactly once, from however many machines; `layout` says what lies where.

A child run is whole once its tag `unsmooth.recorded` holds the digest of the job's result: that tag is written last.
Runs with the same job and the same result are equal, whoever wrote them. After writing, a recorder looks for equal
ones; a run goes only while a whole, equal one with a smaller run id is there, so the smallest stays and none is lost.
What is not whole goes once a whole one is there: if somebody is still writing it, the writer finds it gone, looks again
and takes the whole one.
"""

import hashlib
import threading
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from mlflow.entities import Metric, Run
from mlflow.exceptions import MlflowException

from jobs.contract import file_sha256
from suite.planning.labels import setting_label, variant_label
from suite.planning.manifest import load_all
from suite.recording import layout
from suite.recording.layout import BOARD, JOB, PARENT, RECORDED, RESULT, ROW, tagged
from suite.recording.measurements import Recording, load, measurements, parameters, tags
from suite.recording.rows import Rows, up_to_date
from suite.recording.server import NOTE, Server


class Held:
    """What a task's experiment holds already for one runs folder, as one search tells."""

    def __init__(self, server: Server, experiment: str, holder: str) -> None:
        self.experiment = experiment
        self.jobs: dict[str, list[Run]] = defaultdict(list)
        self.rows: dict[str, list[Run]] = defaultdict(list)
        for run in server.search([experiment], f"tags.`{holder}` IS NOT NULL"):
            index, tag = (self.jobs, JOB) if JOB in run.data.tags else (self.rows, ROW)
            index[run.data.tags.get(tag, "")].append(run)


class Mirror:
    """Writes jobs, rows and boards; every method may be repeated, interrupted anywhere, and called from threads."""

    def __init__(self, runs: Path, uri: str, server: Server | None = None) -> None:
        self.runs, self.holder = runs, layout.holder(runs)
        self.server = server or Server(uri, (runs / "mlruns").as_uri() if uri.startswith("sqlite:") else None)
        self.rows = Rows(self.server, runs, self.holder)
        self.planned = {job.id: (plan.tier, job.label) for plan in load_all(runs) for job in plan.jobs}
        self._held: dict[str, Held] = {}
        self._seen: dict[str, tuple[str, str, str]] = {}  # by job: task, row, the row's name
        self._written: set[str] = set()
        self._lock = threading.Lock()

    def held(self, task: str) -> Held:
        """Read once, then kept up to date by `job`."""
        with self._lock:
            if task not in self._held:
                experiment = self.server.experiment(f"unsmooth/{task}", layout.experiment_note(task))
                self._held[task] = Held(self.server, experiment, self.holder)
            return self._held[task]

    def forget(self) -> None:
        """After an error nobody knows what arrived."""
        with self._lock:
            self._held.clear()
        self.rows.forget()

    def job(self, name: str) -> bool:
        """Record one job; False where it was there already, whoever wrote it."""
        recording = load(self.runs / name)
        held = self.held(recording.spec.task)
        self._seen[name] = (recording.spec.task, recording.row, self._row_name(recording))
        if [_holds(run, recording) for run in held.jobs.get(name, ())] == [True]:
            return False
        self._written.add(name)
        wanted = tagged(JOB, name)
        found = self.server.search([held.experiment], wanted)
        is_new = not any(_holds(run, recording) for run in found)
        if is_new:
            self._write(recording, held.experiment)
            found = self.server.search([held.experiment], wanted)
        held.jobs[name] = [self._settle(recording, found)]
        return is_new

    def _write(self, recording: Recording, experiment: str) -> None:
        measured, name = measurements(recording), self._row_name(recording)
        start_ms, end_ms = (choose(one.time_ms for one in measured) for choose in (min, max))
        parent = self.rows.parent(experiment, recording.row, name, start_ms)
        keys = {JOB: recording.spec.id, ROW: recording.row, RESULT: recording.digest, self.holder: "held"}
        about = {PARENT: parent, "unsmooth.tier": self._plan(recording)[0], **tags(recording)}
        run = self.server.create(experiment, f"{name} · seed {recording.spec.seed}", {**about, **keys}, start_ms)
        if recording.data is not None:
            self.server.used(run, *recording.data)
        self.server.keep(run, recording.files())
        self.server.end(run, "FINISHED" if recording.result.status in ("ok", "skipped") else "FAILED", end_ms)
        metrics = [Metric(one.key, one.value, one.time_ms, one.step) for one in measured]
        params = parameters(recording.spec, seed=True)
        self.server.write(run, metrics=metrics, params=params, tags={RECORDED: recording.digest})

    def _settle(self, recording: Recording, found: Sequence[Run]) -> Run:
        """Of equal runs keep the first, for all whom the others stood for; let go of what this folder held before."""
        whole = [run for run in found if _holds(run, recording)]
        if not whole:
            raise MlflowException(f"The run of job {recording.spec.id} was deleted while it was written.")
        unfinished = [run for run in found if RECORDED not in run.data.tags and self._is_ours(run, recording)]
        for run in [*whole[1:], *unfinished]:
            self.server.delete(run)
        for run in found:
            if run not in whole and run not in unfinished and self.holder in run.data.tags:
                self._release(run)
        self.server.hold(whole[0], {self.holder}.union(*(layout.holders(run.data.tags) for run in whole)))
        return whole[0]

    def _is_ours(self, run: Run, recording: Recording) -> bool:
        return self.holder in run.data.tags or run.data.tags.get(RESULT) == recording.digest

    def _release(self, run: Run) -> None:
        """Another folder may still stand behind a result that this one has replaced."""
        if layout.holders(run.data.tags) - {self.holder}:
            self.server.untag(run, self.holder)
        else:
            self.server.delete(run)

    def _row_name(self, recording: Recording) -> str:
        """The experiment says the task already, and MLflow shows few characters."""
        setting = self._plan(recording)[1].removeprefix(f"{recording.spec.task} ")
        return f"{variant_label(recording.spec)} · {setting}"

    def _plan(self, recording: Recording) -> tuple[str, str]:
        return self.planned.get(recording.spec.id, ("unknown", setting_label(recording.spec)))

    def stale_rows(self, names: Sequence[str]) -> list[tuple[str, str, str]]:
        """Task, row and name of the parents of these recorded jobs that do not say all that they should."""
        rows: dict[tuple[str, str, str], list[str]] = defaultdict(list)
        for name in sorted(names):
            rows[self._seen[name]].append(name)
        return [row for row, members in sorted(rows.items()) if self._is_stale(row[0], row[1], members)]

    def _is_stale(self, task: str, row: str, names: Sequence[str]) -> bool:
        held = self.held(task)
        children = {name: held.jobs.get(name, ()) for name in names}
        return bool(self._written.intersection(names)) or not up_to_date(held.rows.get(row, ()), children)

    def summarise(self, task: str, row: str, name: str) -> bool:
        """Bring one parent up to date; False where it was."""
        return self.rows.summarise(self.held(task).experiment, row, name)

    def board(self, name: str, files: Sequence[Path]) -> bool:
        """Keep a plan's board as one run, whose address stays; False where the same files are there already."""
        experiment = self.server.experiment(layout.LEADERBOARD, layout.LEADERBOARD_NOTE)
        digest = _digest(f"{path.name} {file_sha256(path)}" for path in files)
        wanted = f"{tagged(BOARD, name)} AND tags.`{self.holder}` IS NOT NULL"
        found = self.server.search([experiment], wanted)
        if not found:
            self.server.create(experiment, f"Leaderboard · {name}", {BOARD: name, self.holder: "held"})
            found = self.server.search([experiment], wanted)
        for spare in found[1:]:
            self.server.delete(spare)
        if found[0].data.tags.get(RECORDED) == digest:
            return False
        if RECORDED in found[0].data.tags:
            self.server.untag(found[0], RECORDED)  # whoever dies now leaves a board that vouches for nothing
        self.server.keep(found[0], files)
        self.server.end(found[0], "FINISHED")
        self.server.write(found[0], metrics=(), params={}, tags={NOTE: self._note(name, files), RECORDED: digest})
        return True

    def _note(self, plan: str, files: Sequence[Path]) -> str:
        tasks = sorted({job.spec.task for one in load_all(self.runs) if one.name == plan for job in one.jobs})
        return layout.board_note(plan, files, list(self._links(tasks)))

    def _links(self, tasks: Sequence[str]) -> Iterator[tuple[str, str]]:
        for task in tasks:
            name = f"unsmooth/{task}"
            yield name, self.server.experiment(name, layout.experiment_note(task))

    def close(self) -> None:
        """End what a recorder that was killed has left open, of jobs and plans that are no longer asked for."""
        open_ = f"attributes.status = 'RUNNING' AND tags.`{self.holder}` IS NOT NULL"
        for run in self.server.search(self.server.ours(), open_):
            if JOB in run.data.tags and RECORDED not in run.data.tags:
                self.server.delete(run)
            else:
                self.server.end(run, "KILLED")


def _holds(run: Run, recording: Recording) -> bool:
    """Whether a run is all of a job as it is on disk, in the row where it belongs."""
    given = run.data.tags
    return (given.get(RECORDED), given.get(ROW)) == (recording.digest, recording.row)


def _digest(lines: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
