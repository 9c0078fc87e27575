"""What a plan will take: taken from what was measured where it can be, and said to be a guess where not."""

import dataclasses
from pathlib import Path

import pytest

from suite.planning import cost, pace
from suite.planning.cost import Guess
from suite.planning.pace import Pace, Setup
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
    assert total.disk_bytes > 0
    assert total.peak_bytes is None


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


def test_a_probe_is_believed_more_than_a_scaled_time_and_less_than_a_measured_one(tmp_path: Path) -> None:
    images = [job for job in jobs() if job.entry == "images"]
    key = (pace.place(images[0].spec), pace.variant(images[0].spec))
    probes = {key: Pace(start_s=5, step_s=0.5, finish_s=7, parameters=10, peak_bytes=300)}
    guesses = cost.guess_all(images, [], paces=probes)
    assert set(guesses.values()) == {Guess(5 + 100 * 0.5 + 7, 10 * 48, "probed", 300)}
    finish(images[0], tmp_path, wall_s=40.0, train_s=30.0)
    measured = cost.guess_all(images, cost.read_past(tmp_path), paces=probes)
    assert {guess.origin for guess in measured.values()} == {"measured"}
    assert cost.estimate(images, guesses, at_once=[]).peak_bytes == 300


def test_a_probe_of_the_same_variant_comes_before_one_of_the_baseline() -> None:
    softmax, neutreno = (job for job in jobs() if job.entry == "images" and job.spec.seed == 0)
    probes = {
        (pace.place(job.spec), pace.variant(job.spec)): Pace(start_s=0, step_s=step_s, finish_s=0)
        for job, step_s in ((softmax, 1.0), (neutreno, 2.0))
    }
    guesses = cost.guess_all([softmax, neutreno], [], paces=probes)
    assert (guesses[softmax.id].seconds, guesses[neutreno.id].seconds) == (100, 200)


def test_a_probe_without_its_testing_gets_a_guess_at_it() -> None:
    first = jobs()[0]
    probes = {(pace.place(first.spec), pace.variant(first.spec)): Pace(start_s=5, step_s=0.5)}
    assert cost.guess_all([first], [], paces=probes)[first.id].seconds > 55


def test_what_ran_on_other_devices_is_not_taken_for_a_measurement(tmp_path: Path) -> None:
    first = jobs()[0]
    finish(first, tmp_path, wall_s=1.0, processes=2, device="cpu")
    past = cost.read_past(tmp_path)
    for setup, origin in ((Setup(processes=2), "measured"), (Setup(), "guessed"), (Setup(gpus=2), "guessed")):
        assert cost.guess_all([first], past, setup)[first.id].origin == origin


def test_a_deeper_network_of_which_nothing_is_known_takes_longer_than_a_shallow_one(tmp_path: Path) -> None:
    first = jobs()[0]
    finish(first, tmp_path, wall_s=40.0, train_s=30.0)
    deep = dataclasses.replace(first, spec=dataclasses.replace(first.spec, arguments={"model": "tiny", "depth": 24}))
    guess = cost.guess_all([deep], cost.read_past(tmp_path))[deep.id]
    assert guess.origin == "scaled"
    assert guess.seconds > 10 + 2 * 30


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
