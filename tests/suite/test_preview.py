"""What is said before anything is spent, about this machine and about larger ones."""

import os
from pathlib import Path

import pytest

from suite.commands import preview
from suite.commands.matrix import Matrix
from suite.commands.preview import Machine, Preview
from suite.planning.plan import Choice, Entry, Plan, expand
from suite.running.agenda import Redo
from tests.suite.described import catalogue
from tests.suite.past import finish

PLAN = Plan(
    name="p",
    tier="ranked",
    seeds=(0, 1),
    entries=(Entry(name="plain", task="language"), Entry(name="other", task="language", engine="fairseq")),
    variants=(Choice(name="softmax"),),
)


def seen(runs: Path, machine: Machine) -> Preview:
    known = catalogue()
    matrix = Matrix(plan=PLAN, catalogue=known, jobs=expand(PLAN, known))
    return preview.of(matrix, runs, Redo(), machine)


def test_a_missing_environment_is_told_once_with_the_number_of_jobs_that_need_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UNSMOOTH_FAIRSEQ_PYTHON", str(tmp_path / "none"))
    (sentence,) = seen(tmp_path, Machine(gpus=0)).lacks
    assert sentence == (
        f"The fairseq environment is missing: there is no interpreter {tmp_path}/none. Build it with `make fairseq`,"
        " or name one in UNSMOOTH_FAIRSEQ_PYTHON. 2 jobs need it; --exclude leaves them out."
    )


def test_an_environment_that_only_finished_jobs_needed_is_not_missed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UNSMOOTH_FAIRSEQ_PYTHON", str(tmp_path / "none"))
    for job in expand(PLAN, catalogue()):
        if job.spec.engine == "fairseq":
            finish(job, tmp_path)
    assert seen(tmp_path, Machine(gpus=0)).lacks == []


def test_the_wall_clock_is_told_for_this_machine_and_for_larger_ones() -> None:
    cores = len(os.sched_getaffinity(0))
    assert Machine(gpus=0).at_once(1) == [cores, 2 * cores, 4 * cores]
    assert Machine(gpus=0, max_jobs=1).at_once(1) == [1]
    assert Machine(gpus=0, processes=4 * cores).at_once(1) == [1, 2, 4]


def test_for_gpus_that_are_not_here_it_is_told_for_whole_nodes(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    machine = Machine(gpus=1000)  # no machine that runs this has so many, nor do sixteen nodes
    assert machine.at_once(1) == [1]
    seen(tmp_path, machine).show()
    assert "on 1000 GPUs" in capsys.readouterr().out
