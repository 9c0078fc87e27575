"""Plans become jobs: grids, defaults, upstreams, stable ids, and the patterns that choose among them."""

import dataclasses
from typing import Any

import pytest

from suite.errors import UsageError
from suite.planning.plan import Choice, Entry, Job, Plan, expand, with_outside_variants
from tests.suite.described import catalogue

GRAPH = Entry(name="deep", task="graph", arguments={"depth": [2, 8]})
IMAGES = Entry(name="images", task="classification")
SCENES = Entry(name="scenes", task="segmentation", upstream="images")


def plan(
    *entries: Entry, variants: tuple[Choice, ...] = (Choice(name="softmax"),), seeds: tuple[int, ...] = (0,)
) -> Plan:
    return Plan(name="p", tier="ranked", seeds=seeds, entries=entries, variants=variants, source="p.yaml")


def names(jobs: list[Job]) -> list[str]:
    return [job.name for job in jobs]


def test_a_list_is_a_grid_and_everything_else_comes_from_the_catalogue() -> None:
    jobs = expand(plan(GRAPH, seeds=(0, 1)), catalogue())
    assert [(job.spec.arguments["depth"], job.spec.seed) for job in jobs] == [(2, 0), (2, 1), (8, 0), (8, 1)]
    spec = jobs[0].spec
    assert (spec.data, spec.split, spec.steps, spec.global_batch) == ("karate", "default", 200, 1)
    assert spec.arguments == {"depth": 2, "dropout": 0.6, "model": "gcn"}


def test_writing_a_default_out_does_not_change_the_id() -> None:
    short = plan(GRAPH, variants=(Choice(name="centered"),))
    entry = dataclasses.replace(
        GRAPH, data="karate", split="default", steps=200, arguments={"dropout": 0.6, "depth": [2, 8]}
    )
    long = plan(entry, variants=(Choice(name="centered", arguments={"gamma": 1}),))
    assert [job.id for job in expand(short, catalogue())] == [job.id for job in expand(long, catalogue())]


def test_ids_stay_what_they_were_when_this_test_was_written() -> None:
    jobs = expand(plan(GRAPH, variants=(Choice(name="neutreno"),)), catalogue())
    assert [job.id for job in jobs] == ["638d6b9e780dba61", "ded5d79d4be8a692"]


def test_several_splits_are_a_grid() -> None:
    entry = dataclasses.replace(GRAPH, data="cora", split=("geom-gcn-0", "public"))
    jobs = expand(plan(entry), catalogue())
    assert [(job.spec.split, job.spec.arguments["depth"]) for job in jobs] == [
        ("geom-gcn-0", 2),
        ("geom-gcn-0", 8),
        ("public", 2),
        ("public", 8),
    ]


def test_engine_and_determinism_are_part_of_the_spec_and_its_id() -> None:
    plain, *others = [
        expand(plan(dataclasses.replace(IMAGES, engine=engine, deterministic=deterministic)), catalogue())[0]
        for engine, deterministic in (("ddp", False), ("zero1", False), ("ddp", True))
    ]
    assert [(job.spec.engine, job.spec.deterministic) for job in others] == [("zero1", False), ("ddp", True)]
    assert len({plain.id, *(job.id for job in others)}) == 3


def test_limits_and_entry_names_do_not_change_the_id() -> None:
    other = dataclasses.replace(GRAPH, name="other", limits_s={"train": 5.0})
    assert [job.id for job in expand(plan(GRAPH), catalogue())] == [job.id for job in expand(plan(other), catalogue())]


def test_a_list_argument_takes_a_list_and_its_grid_a_list_of_lists() -> None:
    one, many = ({"windows": [2, 4]}, {"windows": [[2], [2, 4, 8]]})
    for given, expected in ((one, [[2, 4]]), (many, [[2], [2, 4, 8]])):
        jobs = expand(plan(IMAGES, variants=(Choice(name="pooled", arguments=given),)), catalogue())
        assert [job.spec.variant_arguments["windows"] for job in jobs] == expected


def test_arguments_per_task_override_the_general_ones() -> None:
    choice = Choice(name="neutreno", arguments={"lam": 0.7}, per_task={"language": {"lam": 0.4}})
    jobs = expand(plan(IMAGES, Entry(name="text", task="language"), variants=(choice,)), catalogue())
    assert {job.entry: job.spec.variant_arguments["lam"] for job in jobs} == {"images": 0.7, "text": 0.4}


def test_an_upstream_is_the_job_of_the_same_variant_and_seed_and_comes_first() -> None:
    variants = (Choice(name="softmax"), Choice(name="neutreno", per_task={"segmentation": {"lam": 0.2}}))
    jobs = expand(plan(SCENES, IMAGES, variants=variants, seeds=(0, 1)), catalogue())
    by_id = {job.id: job for job in jobs}
    followers = [job for job in jobs if job.entry == "scenes"]
    assert len(followers) == 4
    for job in followers:
        first = by_id[str(job.upstream)]
        assert (first.entry, first.spec.variant, first.spec.seed) == ("images", job.spec.variant, job.spec.seed)
        assert jobs.index(first) < jobs.index(job)
        assert job.spec.upstream == first.id


def test_upstreams_on_a_grid_are_paired_by_the_arguments_both_share() -> None:
    models = {"model": ["tiny", "small"]}
    variants = (Choice(name="neutreno", arguments={"lam": [0.2, 0.6]}),)
    images, scenes = (dataclasses.replace(entry, arguments=models) for entry in (IMAGES, SCENES))
    jobs = expand(plan(images, scenes, variants=variants), catalogue())
    by_id = {job.id: job.spec for job in jobs}
    pairs = [(job.spec, by_id[job.upstream]) for job in jobs if job.upstream]
    assert len(pairs) == 4
    assert all(one.variant_arguments == other.variant_arguments for one, other in pairs)
    assert all(one.arguments["model"] == other.arguments["model"] for one, other in pairs)


def test_an_ambiguous_upstream_is_refused() -> None:
    images = dataclasses.replace(IMAGES, arguments={"depth": [2, 4]})
    with pytest.raises(UsageError, match=r"entry 'scenes': upstream 'images' offers 2 jobs for softmax, seed 0"):
        expand(plan(images, SCENES), catalogue())


def test_upstreams_in_a_circle_are_refused() -> None:
    images = dataclasses.replace(IMAGES, upstream="scenes")
    with pytest.raises(UsageError, match="images, scenes can never start"):
        expand(plan(images, SCENES), catalogue())


def test_the_same_job_twice_is_refused() -> None:
    twin = dataclasses.replace(GRAPH, name="again", arguments={"depth": 8})
    with pytest.raises(UsageError, match=r"p.yaml: .*\(entries 'deep' and 'again'\) is the same job twice"):
        expand(plan(GRAPH, twin), catalogue())


def test_a_broken_variant_file_gives_jobs_that_carry_its_problem() -> None:
    (job,) = expand(plan(IMAGES, variants=(Choice(name="my_idea", arguments={"strength": 2}),)), catalogue())
    assert job.broken == "my_idea.py, line 3: invalid syntax."
    assert job.spec.variant_arguments == {"strength": 2}


def test_an_outside_variant_brings_its_path_and_digest() -> None:
    (job,) = expand(plan(IMAGES, variants=(Choice(name="pooled"),)), catalogue())
    assert str(job.variant_file) == "/elsewhere/pooled.py"
    assert job.spec.variant_sha256 == "p0"
    (builtin,) = expand(plan(IMAGES), catalogue())
    assert (builtin.variant_file, builtin.spec.variant_sha256) == (None, None)


def test_variants_given_by_path_join_a_plan_that_does_not_name_them() -> None:
    added = with_outside_variants(plan(IMAGES, variants=(Choice(name="softmax"),)), catalogue())
    assert [choice.name for choice in added.variants] == ["softmax", "pooled", "my_idea"]
    assert with_outside_variants(added, catalogue()) == added


MATRIX = plan(
    GRAPH,
    IMAGES,
    SCENES,
    variants=(Choice(name="softmax"), Choice(name="neutreno", arguments={"lam": [0.4, 0.6]})),
    seeds=(0, 1),
)


@pytest.mark.parametrize(
    ("pattern", "count"),
    [
        ("graph", 12),
        ("deep", 12),
        ("kar*", 12),
        ("softmax", 8),
        ("neutreno", 16),
        ("neutreno[lam=0.6]", 8),
        ("neutreno[lam=0.60]", 8),
        ("neutreno[lam=0.4,0.6]", 16),
        ("graph[depth=8]", 6),
        ("deep[depth=8,model=gcn]", 6),
        ("graph karate model=gcn depth=8", 6),
        ("deep/*/neutreno[lam=0.6]/*", 4),
        ("deep/karate/neutreno/*", 8),
        ("*/seed 1", 12),
        ("segmentation", 12),  # six of its own and the six it starts from
    ],
)
def test_patterns_select_jobs(pattern: str, count: int) -> None:
    assert len(expand(MATRIX, catalogue(), select=[pattern])) == count


def test_an_id_selects_its_job_and_what_it_starts_from() -> None:
    last = expand(MATRIX, catalogue())[-1]
    chosen = expand(MATRIX, catalogue(), select=[last.id])
    assert [job.id for job in chosen] == [last.upstream, last.id]


def test_excluding_takes_away_from_what_was_selected() -> None:
    chosen = expand(MATRIX, catalogue(), select=["graph"], exclude=["neutreno[lam=0.4]"], seeds=[5])
    assert (
        names(chosen)
        == [
            "deep/karate/softmax/seed 5",
            "deep/karate/neutreno[lam=0.6]/seed 5",
        ]
        * 2
    )


def test_a_pattern_that_matches_nothing_is_refused_with_a_suggestion() -> None:
    with pytest.raises(UsageError) as caught:
        expand(MATRIX, catalogue(), select=["neutrino", "deep"], exclude=["neutreno[lam=3]"])
    assert caught.value.messages[0].startswith(
        "--select 'neutrino' matches no job. Unknown name 'neutrino'. Did you mean 'neutreno'?"
    )


def test_values_of_another_kind_never_match() -> None:
    arguments: dict[str, Any] = {"kind": ["mean", "max"]}
    chosen = expand(
        plan(IMAGES, variants=(Choice(name="pooled", arguments=arguments),)), catalogue(), select=["pooled[kind=max]"]
    )
    assert [job.spec.variant_arguments["kind"] for job in chosen] == ["max"]


def test_excluding_every_job_is_refused() -> None:
    with pytest.raises(UsageError, match="--exclude leaves no job"):
        expand(MATRIX, catalogue(), exclude=["*"])
