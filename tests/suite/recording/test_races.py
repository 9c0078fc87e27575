"""Recorders that meet at a job, or die before any of their requests: in the end everything is there once."""

import dataclasses
import itertools
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from mlflow.entities import Run, ViewType
from mlflow.exceptions import MlflowException

from jobs.contract import JobFolder, Result
from suite.recording.layout import holder
from suite.recording.mirror import Mirror
from suite.recording.server import Server
from tests.suite.board_fixture import PLACES, write_runs
from tests.suite.recording.looking import everything, summarise
from tests.suite.recording.meddling import Countdown, Killed, LateClient, Meddled, Once


@dataclasses.dataclass
class Machines:
    """Two copies of one runs folder, each with an id of its own, and the database that both record to."""

    folders: tuple[Path, Path]
    uri: str
    jobs: Iterator[str]

    def job(self) -> str:
        return next(self.jobs)

    def mirror(self, number: int, before: Callable[[str], None] | None = None) -> Mirror:
        runs = self.folders[number]
        return Mirror(runs, self.uri, Meddled(self.uri, runs, before) if before else None)

    def runs(self, job: str, view: int = ViewType.ACTIVE_ONLY) -> list[Run]:
        return [run for run in everything(self.uri, view) if run.data.tags.get("unsmooth.job_id") == job]

    def parents(self, row: str) -> list[Run]:
        runs = [run for run in everything(self.uri) if run.data.tags.get("unsmooth.row") == row]
        return [run for run in runs if "unsmooth.job_id" not in run.data.tags]


@pytest.fixture(scope="module")
def machines(tmp_path_factory: pytest.TempPathFactory, database: Path) -> Machines:
    """Each test takes jobs that no other has touched."""
    folder = tmp_path_factory.mktemp("machines")
    shutil.copy(database, folder)
    folders = (folder / "first", folder / "second")
    places = [dataclasses.replace(PLACES[3], arguments={"model": "gcn", "depth": depth}) for depth in range(2, 9)]
    ids = [job.id for job in write_runs(folders[0], places=places, seeds=[0]).jobs]
    for path in folders[0].glob("*/result.json"):  # without figures, which take most of the time
        result = Result.load(path)
        dataclasses.replace(result, numbers={**result.numbers, "profile": []}).save(path)
    shutil.copytree(folders[0], folders[1])
    return Machines(folders, f"sqlite:///{folder / 'mlflow.db'}", iter(ids))


@pytest.mark.parametrize("toss", range(4))  # MLflow draws the ids
def test_of_two_whole_runs_the_smallest_id_stays_and_stands_for_both_folders(machines: Machines, toss: int):
    name = machines.job()
    second = machines.mirror(1)
    first = machines.mirror(0, Once("create", lambda: second.job(name)))  # after it has looked, before it writes
    assert first.job(name)
    assert len(machines.runs(name, ViewType.ALL)) == 2
    (left,) = machines.runs(name)
    assert left.info.run_id == min(run.info.run_id for run in machines.runs(name, ViewType.ALL))
    assert {holder(folder) for folder in machines.folders} <= left.data.tags.keys()
    for number in (0, 1):
        assert not machines.mirror(number).job(name)


def test_whoever_is_slower_finds_its_half_written_run_gone_and_takes_the_whole_one(machines: Machines):
    name = machines.job()
    second = machines.mirror(1)
    slow = machines.mirror(0, Once("write", lambda: second.job(name)))
    with pytest.raises(MlflowException, match="must be in the 'active' state"):
        slow.job(name)
    (left,) = machines.runs(name)
    slow.forget()
    assert not slow.job(name)
    assert [run.info.run_id for run in machines.runs(name)] == [left.info.run_id]
    assert left.data.tags["unsmooth.recorded"]


def test_an_experiment_that_somebody_else_has_just_made_is_taken(machines: Machines):
    server = Server(machines.uri, None)
    made = server.experiment("unsmooth/race", "note")
    late = Server(machines.uri, None)
    late.client = LateClient(tracking_uri=machines.uri)
    assert late.experiment("unsmooth/race", "note") == made


def test_a_result_that_one_folder_has_replaced_stays_for_the_other(machines: Machines):
    name = machines.job()
    for number in (0, 1):
        machines.mirror(number).job(name)
    path = JobFolder(machines.folders[0] / name).result
    dataclasses.replace(Result.load(path), cost={"wall_s": 99.0}).save(path)
    assert machines.mirror(0).job(name)
    mine, yours = (holder(folder) for folder in machines.folders)
    assert sorted((mine in run.data.tags, yours in run.data.tags) for run in machines.runs(name)) == [
        (False, True),
        (True, False),
    ]
    shutil.copy(path, JobFolder(machines.folders[1] / name).result)
    assert not machines.mirror(1).job(name)
    assert len(machines.runs(name)) == 1


def test_a_recorder_may_be_killed_before_any_request_and_the_next_one_repairs_it(machines: Machines):
    for number in itertools.count(1):
        name = machines.job()
        dying = machines.mirror(0, Countdown(number))
        try:
            dying.job(name)
            summarise(dying, [name])
        except Killed:
            pass
        else:
            break
        repairing = machines.mirror(0)
        repairing.job(name)
        summarise(repairing, [name])
        (run,) = machines.runs(name)
        (parent,) = machines.parents(run.data.tags["unsmooth.row"])
        assert run.data.tags["mlflow.parentRunId"] == parent.info.run_id
        assert (run.info.status, parent.info.status) == ("FINISHED", "FINISHED")
        assert run.data.tags["unsmooth.recorded"].startswith(parent.data.tags["unsmooth.recorded"])
    assert number > 10


@pytest.mark.parametrize("before", [None, "first"])
@pytest.mark.parametrize("then", ["second", "first"])
def test_a_writer_of_boards_may_be_killed_before_any_request_and_the_next_one_repairs_it(
    machines: Machines, tmp_path: Path, before: str | None, then: str
):
    pages = {text: tmp_path / text / "leaderboard.html" for text in ("first", "second")}
    for text, page in pages.items():
        page.parent.mkdir()
        page.write_text(text)
    for number in itertools.count(1):
        name = f"{before}-{then}-{number}"
        if before:
            machines.mirror(0).board(name, [pages[before]])
        try:
            machines.mirror(0, Countdown(number)).board(name, [pages["second"]])
        except Killed:
            pass
        else:
            break
        repairing = machines.mirror(0)
        repairing.board(name, [pages[then]])
        (board,) = [run for run in everything(machines.uri) if run.data.tags.get("unsmooth.board") == name]
        assert repairing.server.fetch(board, "leaderboard.html", tmp_path).read_text() == then
        assert board.info.status == "FINISHED"
        assert not repairing.board(name, [pages[then]])
    assert number > 4
