"""A pace is read from events as they come, and told for any number of steps."""

import dataclasses
from typing import Any

import pytest

from jobs.contract import JobSpec
from suite.planning import pace
from suite.planning.pace import Pace

SPEC = JobSpec(
    task="language",
    data="pydoc",
    split="default",
    arguments={"depth": 4, "validate_every": 40},
    variant="softmax",
    variant_arguments={},
    seed=0,
    steps=1000,
    global_batch=8,
)


def events(*timed: tuple[float, str, dict[str, Any]]) -> list[dict[str, Any]]:
    return [{"time": time, "kind": kind, **fields} for time, kind, fields in timed]


def step(time: float) -> tuple[float, str, dict[str, Any]]:
    return (time, "step", {"phase": "train"})


def phase(time: float, name: str) -> tuple[float, str, dict[str, Any]]:
    return (time, "phase", {"phase": name})


WHOLE = events(
    phase(104, "build"),
    phase(110, "train"),
    step(115),  # 5 s, of which 3 are compilation
    (115, "metrics", {"values": {"train/loss": 1.0}}),
    step(117),
    (117.5, "checkpoint", {"step": 2}),
    step(119),
    (120, "step", {"phase": "evaluate"}),
    (123, "metrics", {"values": {"val/loss": 1.0}}),
    step(125),
    (125.5, "checkpoint", {"step": 4}),
    phase(126, "evaluate"),
    (130, "step", {"phase": "evaluate"}),
    (140, "metrics", {"values": {"test/loss": 1.0}}),
    (141, "profile", {"rows": []}),
)


def test_starting_stepping_validating_and_testing_are_told_apart() -> None:
    found = pace.read(WHOLE, began=100, ended=145)
    assert found == Pace(start_s=10 + 3, step_s=2, validate_s=4, validate_every=4, finish_s=20)


def test_a_job_that_was_cut_off_tells_its_steps_and_nothing_of_its_testing() -> None:
    found = pace.read(WHOLE[:5], began=100, ended=None)
    assert found is not None
    assert (found.step_s, found.finish_s, found.validate_every) == (2, None, None)
    assert pace.read(WHOLE[:2], began=100, ended=None) is None


def test_one_step_alone_is_better_than_none() -> None:
    found = pace.read(WHOLE[:3], began=100, ended=None)
    assert found is not None
    assert (found.start_s, found.step_s) == (10, 5)


def test_batches_that_come_in_bursts_are_averaged_once_the_queues_are_full() -> None:
    """Two loading processes, 4 s for a batch each: two steps follow each other, then the next two are waited for."""
    times = [4, 4.1, 8, 8.1, 12, 12.1]
    found = pace.read(events(phase(0, "train"), *map(step, times)), began=0, ended=None, warm_up=2)
    assert found is not None
    assert found.step_s == pytest.approx(2)
    assert found.start_s == pytest.approx(0.1)


def test_a_probe_validates_once_after_its_last_step_and_needs_no_upstream() -> None:
    short = pace.shortened(dataclasses.replace(SPEC, upstream="0" * 16), 5)
    assert (short.steps, short.arguments, short.upstream) == (5, {"depth": 4, "validate_every": 5}, None)


def test_a_setting_that_does_not_validate_is_not_made_to() -> None:
    never = dataclasses.replace(SPEC, arguments={"evaluate_every": 0})
    assert pace.shortened(never, 5).arguments == {"evaluate_every": 0}
    assert pace.validate_every(never) is None
    assert pace.validate_every(SPEC) == 40


def test_steps_split_and_seed_do_not_change_the_place_but_what_costs_time_does() -> None:
    same = dataclasses.replace(SPEC, steps=5, split="other", seed=7, upstream="0" * 16)
    assert pace.place(same) == pace.place(SPEC)
    for change in ({"engine": "zero1"}, {"global_batch": 4}, {"arguments": {"depth": 5}}, {"compile": True}):
        assert pace.place(dataclasses.replace(SPEC, **change)) != pace.place(SPEC)


def test_testing_that_was_not_measured_is_the_guess_as_far_off_as_the_steps_were() -> None:
    measured = Pace(start_s=1, step_s=0.5)
    guessed = Pace(start_s=9, step_s=0.25, finish_s=100)
    assert measured.completed(guessed).finish_s == 200
    assert dataclasses.replace(measured, finish_s=3).completed(guessed).finish_s == 3
