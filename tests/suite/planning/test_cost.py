"""What a plan will take: taken from what was measured where it can be, and said to be a guess where not."""

import dataclasses
from pathlib import Path

import pytest

from suite.planning import cost
from suite.planning.cost import Guess
from suite.planning.plan import Choice, Entry, Job, Plan, expand
from tests.suite.described import catalogue
from tests.suite.past import finish

PLAN = Plan(
    name="p",
    tier="ranked",
    seeds=(0, 1),
    entries=(
        Entry(name="images", task="classification", threads=2),
        Entry(name="scenes", task="segmentation", upstream="images", threads=2),
    ),
    variants=(Choice(name="softmax"), Choice(name="neutreno")),
)


def jobs() -> list[Job]:
    return expand(PLAN, catalogue())


def all_alike(seconds: float) -> dict[str, Guess]:
    return {job.id: Guess(seconds, 10.0, "measured") for job in jobs()}


def test_without_a_past_every_job_is_a_guess_and_says_so(tmp_path: Path) -> None:
    guesses = cost.guess_all(jobs(), cost.read_past(tmp_path))
    total = cost.estimate(jobs(), guesses, at_once=[1])
    assert total.origins == {"guessed": 8}
    assert total.disk_bytes == 8 * cost.GUESSED_BYTES
    assert guesses[jobs()[0].id].seconds == cost.START_S + 100 * cost.GUESSES["classification"]


def test_a_finished_seed_tells_what_the_other_seeds_take(tmp_path: Path) -> None:
    first = jobs()[0]
    finish(first, tmp_path, wall_s=40.0, train_s=30.0, parameters=1000)
    guesses = cost.guess_all(jobs(), cost.read_past(tmp_path))
    same = [job for job in jobs() if job.entry == "images"]
    assert {guesses[job.id] for job in same} == {Guess(40.0, 1000 * 48, "measured")}
    assert {guesses[job.id].origin for job in jobs() if job.entry == "scenes"} == {"guessed"}


def test_another_number_of_steps_scales_the_training_and_not_the_rest(tmp_path: Path) -> None:
    first = jobs()[0]
    finish(first, tmp_path, wall_s=40.0, train_s=30.0)
    longer = dataclasses.replace(first, spec=dataclasses.replace(first.spec, steps=first.spec.steps * 3))
    guess = cost.guess_all([longer], cost.read_past(tmp_path))[longer.id]
    assert (guess.seconds, guess.origin) == (10.0 + 90.0, "scaled")


def test_failed_and_damaged_jobs_teach_nothing(tmp_path: Path) -> None:
    first, second, *_ = jobs()
    finish(first, tmp_path, status="failed", failure="nan", wall_s=1.0)
    finish(second, tmp_path, wall_s=1.0).spec.write_text("{")
    assert cost.read_past(tmp_path) == []


@pytest.mark.parametrize(("slots", "expected"), [(1, 80.0), (2, 40.0), (4, 20.0), (100, 20.0)])
def test_wall_clock_respects_upstreams_and_the_number_of_jobs_at_once(slots: int, expected: float) -> None:
    assert cost.wall_s(jobs(), all_alike(10.0), slots) == expected


def test_a_job_whose_upstream_is_already_done_may_start_at_once() -> None:
    followers = [job for job in jobs() if job.upstream]
    assert cost.wall_s(followers, all_alike(10.0), 4) == 10.0


def test_hours_count_every_core_or_every_gpu() -> None:
    on_cores = cost.estimate(jobs(), all_alike(450.0), at_once=[], processes=3)
    assert (on_cores.core_h, on_cores.gpu_h) == (6.0, 0.0)  # 8 jobs x 450 s x 2 threads x 3 processes
    on_gpus = cost.estimate(jobs(), all_alike(450.0), at_once=[], gpus=2)
    assert (on_gpus.core_h, on_gpus.gpu_h) == (0.0, 2.0)
