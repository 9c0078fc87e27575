"""Probes of a plan's settings, with real processes that succeed, fail and hang."""

import dataclasses
from pathlib import Path

import pytest

from suite.errors import UsageError
from suite.planning import pace
from suite.planning.pace import Setup
from suite.planning.plan import Job
from suite.running import probing
from suite.running.probing import Effort, Probe, Prober
from tests.suite.fake_runtime import NAME, job

SETUP = Setup(hardware="this one", code="1")


def prober(runs: Path, *, setup: Setup = SETUP, **effort: float) -> Prober:
    return Prober(runs=runs, setup=setup, effort=Effort(runtime=NAME, **effort))  # type: ignore[arg-type]


def only(runs: Path, *jobs: Job, **effort: float) -> Probe:
    (found,) = prober(runs, **effort).run(jobs)
    return found


def test_one_setting_is_probed_once_whatever_its_variants_seeds_and_steps(tmp_path: Path) -> None:
    jobs = [job("ok", variant=name, seed=seed, steps=99 + seed) for name in ("centered", "softmax") for seed in (0, 1)]
    probe = only(tmp_path, *jobs, steps=4)
    assert probe.name == "fake/none/softmax/seed 0"
    assert probe.pace is not None
    assert probe.pace.step_s > 0
    assert (probe.problem, probe.remembered) == (None, False)


def test_each_variant_is_probed_on_request(tmp_path: Path) -> None:
    jobs = [job("ok", variant=name, seed=seed) for name in ("softmax", "centered") for seed in (0, 1)]
    assert [one.spec.variant for one in probing.chosen(jobs, each_variant=True)] == ["softmax", "centered"]


def test_what_was_found_is_remembered_and_nothing_else_is_left(tmp_path: Path) -> None:
    wanted = job("ok")
    first = only(tmp_path, wanted)
    assert only(tmp_path, wanted) == dataclasses.replace(first, remembered=True)
    assert [path.suffix for path in (tmp_path / ".probes").iterdir()] == [".json"]
    key = (pace.place(wanted.spec), pace.variant(wanted.spec))
    assert probing.remembered(tmp_path, SETUP) == {key: first.pace}


@pytest.mark.parametrize("change", [{"hardware": "another"}, {"code": "2"}, {"processes": 2}, {"workers": 1}])
def test_under_other_conditions_nothing_is_remembered(tmp_path: Path, change: dict[str, int]) -> None:
    only(tmp_path, job("ok"))
    assert probing.remembered(tmp_path, dataclasses.replace(SETUP, **change)) == {}  # type: ignore[arg-type]


def test_a_probe_that_fails_is_told_with_its_reason_and_tried_again(tmp_path: Path) -> None:
    for _ in range(2):
        probe = only(tmp_path, job("nan"))
        assert probe == Probe(name="fake/none/softmax/seed 0", problem="The loss is nan at step 2.")
    assert list((tmp_path / ".probes").glob("*/attempts/1/log.txt"))


def test_a_failing_setting_does_not_keep_the_others_from_being_probed(tmp_path: Path) -> None:
    told: list[Probe] = []
    found = prober(tmp_path).run([job("out_of_memory"), job("ok")], told.append)
    assert told == found
    assert [probe.pace is None for probe in found] == [True, False]
    assert "out of memory" in (found[0].problem or "")


def test_a_probe_over_its_limit_is_ended_and_the_steps_it_made_count(tmp_path: Path) -> None:
    probe = only(tmp_path, job("waits"), limit_s=3)
    assert probe.pace is not None
    assert 0.05 <= probe.pace.step_s < 1
    assert probe.pace.finish_s is None
    assert probe.problem == "Cut short, what is missing is guessed: Phase 'train' took longer than its limit of 3 s."


def test_a_probe_that_makes_no_step_within_its_limit_has_no_pace(tmp_path: Path) -> None:
    probe = only(tmp_path, job("never"), limit_s=0.4)
    assert probe.pace is None
    assert "No step was completed. Phase 'start' took longer than its limit of 0.4 s." in (probe.problem or "")


def test_loading_processes_make_a_probe_longer(tmp_path: Path) -> None:
    fed = prober(tmp_path, setup=dataclasses.replace(SETUP, workers=8), steps=10)
    assert fed._order(job("ok")).spec.steps == 24
    assert prober(tmp_path, steps=10)._order(job("ok")).spec.steps == 10


def test_more_gpus_than_there_are_cannot_be_probed(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="A probe of jobs on 99 GPUs needs as many on this machine"):
        prober(tmp_path, setup=dataclasses.replace(SETUP, gpus=99)).run([job("ok")])


def test_a_damaged_memory_is_passed_over(tmp_path: Path) -> None:
    only(tmp_path, job("ok"))
    (path,) = (tmp_path / ".probes").glob("*.json")
    path.write_text("{")
    assert probing.remembered(tmp_path, SETUP) == {}
