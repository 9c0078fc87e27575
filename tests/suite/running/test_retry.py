"""The failure table: what is tried again, how often, and how."""

import doctest

import pytest

from jobs.contract import FAILURES
from suite.running import retry
from suite.running.retry import Ending, decide, halved


def failed(*failures: str, progressed: bool = False) -> list[Ending]:
    return [Ending(failure=failure, progressed=progressed) for failure in failures]


def test_every_failure_class_has_a_policy_with_advice() -> None:
    assert set(retry.POLICIES) == set(FAILURES)
    assert all(policy.advice.endswith(".") for policy in retry.POLICIES.values())


@pytest.mark.parametrize("failure", ["nan", "variant_error", "data"])
def test_a_finding_is_never_tried_again(failure: str) -> None:
    assert not decide(failed(failure), budget=100).retry


@pytest.mark.parametrize("failure", ["preempted", "node_lost", "killed"])
def test_a_failure_from_outside_is_free_as_long_as_the_job_gets_on(failure: str) -> None:
    assert decide(failed(*[failure] * 50, progressed=True), budget=0).retry


@pytest.mark.parametrize("failure", ["preempted", "node_lost", "killed"])
def test_a_failure_from_outside_without_a_new_step_is_given_up_in_the_end(failure: str) -> None:
    assert decide(failed(*[failure] * retry.FRUITLESS), budget=0).retry
    assert not decide(failed(*[failure] * (retry.FRUITLESS + 1)), budget=100).retry


@pytest.mark.parametrize("failure", ["image", "disk", "oom"])
def test_the_budget_bounds_failures_of_the_jobs_own(failure: str) -> None:
    assert decide(failed(failure, failure), budget=2).retry
    assert not decide(failed(failure, failure, failure), budget=2).retry


@pytest.mark.parametrize("failure", ["hang", "timeout", "error"])
def test_some_failures_are_tried_again_once_whatever_the_budget(failure: str) -> None:
    assert decide(failed(failure), budget=9).retry
    assert not decide(failed(failure, "killed", failure), budget=9).retry


def test_free_failures_in_between_do_not_use_up_the_budget() -> None:
    assert decide(failed("preempted", "oom", "killed", "preempted", "oom"), budget=2).retry


def test_only_image_and_disk_wait_and_only_oom_halves_the_micro_batch() -> None:
    decisions = {failure: decide(failed(failure), budget=1) for failure in FAILURES}
    assert {failure for failure, decision in decisions.items() if decision.pause_s} == {"image", "disk"}
    assert {failure for failure, decision in decisions.items() if decision.halve_micro_batch} == {"oom"}


def test_micro_batches_are_halved_to_divisors_until_one_sample_is_left() -> None:
    sizes, size = [], 48
    while size is not None:
        sizes.append(size)
        size = halved(size, per_process=48)
    assert sizes == [48, 24, 12, 6, 3, 1]
    assert halved(None, per_process=1) is None


def test_the_examples_in_the_docstrings_hold() -> None:
    assert doctest.testmod(retry).failed == 0
