"""The plan of the published table: what it stands for, told without data, GPU or a single step."""

import re
from collections import Counter
from pathlib import Path

import pytest
import yaml

from suite.planning import catalogue, config, guesses
from suite.planning.pace import Setup
from suite.planning.plan import Job, expand

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def jobs() -> list[Job]:
    found = catalogue.load()
    return expand(config.load(ROOT / "jobs" / "plans" / "paper.yaml", found), found)


def test_every_task_and_both_language_back_ends_have_three_seeds_of_six_variants(jobs: list[Job]) -> None:
    assert {job.spec.task for job in jobs} == {"classification", "segmentation", "language", "graph"}
    assert {job.spec.engine for job in jobs if job.spec.task == "language"} == {"ddp", "fairseq"}
    of_entry = Counter(job.entry for job in jobs)
    assert {
        of_entry[name] for name in ("deit-tiny", "deit-small", "ade20k", "wikitext-103", "wikitext-103-fairseq")
    } == {18}


def test_lambda_is_what_the_authors_used_for_pictures_and_for_text(jobs: list[Job]) -> None:
    used = {(job.spec.task, job.spec.variant_arguments["lam"]) for job in jobs if job.spec.variant == "neutreno"}
    assert {("classification", 0.6), ("segmentation", 0.6), ("language", 0.4)} <= used


def test_segmentation_starts_from_the_classification_of_the_same_variant_and_seed(jobs: list[Job]) -> None:
    specs = {job.id: job.spec for job in jobs}
    started = [(job.spec, specs[job.upstream]) for job in jobs if job.upstream]
    assert len(started) == 18
    for spec, upstream in started:
        assert (upstream.task, upstream.variant, upstream.seed) == ("classification", spec.variant, spec.seed)


def test_every_argument_of_a_picture_or_language_recipe_is_written_out() -> None:
    found = catalogue.load()
    plan = yaml.safe_load((ROOT / "jobs" / "plans" / "paper.yaml").read_text(encoding="utf-8"))
    for entry in plan["tasks"]:
        if entry["task"] != "graph":
            unsaid = found.tasks[entry["task"]].arguments.keys() - entry["arguments"].keys()
            assert unsaid <= {"folder", "warmup"}, entry["name"]  # of other data, and of another schedule


def test_the_header_states_what_the_plan_would_estimate(jobs: list[Job]) -> None:
    setup = Setup(gpus=1, workers=16)
    hours: Counter[str] = Counter()
    for job in jobs:
        hours[job.spec.task] += guesses.pace(job.spec, setup).seconds(job.spec.steps) / 3600
    header = (ROOT / "jobs" / "plans" / "paper.yaml").read_text(encoding="utf-8").partition("\nname:")[0]
    stated = re.search(
        r"about ([\d,]+) GPU-hours: images ([\d,]+), language ([\d,]+), segmentation ([\d,]+), graphs ([\d,]+);", header
    )
    assert stated
    total, *parts = (int(number.replace(",", "")) for number in stated.groups())
    assert total == pytest.approx(hours.total(), rel=0.1)
    tasks = ("classification", "language", "segmentation", "graph")
    assert parts == pytest.approx([hours[task] for task in tasks], rel=0.1)
