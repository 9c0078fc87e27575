"""A global batch that cannot be dealt out is refused while nothing has been started."""

import dataclasses

import pytest

from suite.errors import UsageError
from suite.planning import division
from suite.planning.plan import Choice, Entry, Plan, expand
from tests.suite.described import catalogue

PLAN = Plan(
    name="p",
    tier="ranked",
    seeds=(0, 1),
    entries=(Entry(name="images", task="classification", global_batch=1000), Entry(name="deep", task="graph")),
    variants=(Choice(name="softmax"),),
    source="p.yaml",
)


def refuse(*, processes: int = 1, gpus: int = 0, select: tuple[str, ...] = ()) -> None:
    known = catalogue()
    division.refuse_uneven(PLAN, expand(PLAN, known, select=select), known, processes=processes, gpus=gpus)


@pytest.mark.parametrize(
    ("machine", "expected"),
    [
        ({"gpus": 3}, "global_batch 1000 is not divisible by 3 GPUs; use 1, 2, 4 or 5."),
        ({"processes": 6}, "global_batch 1000 is not divisible by 6 processes; use 1, 2, 4, 5, 8 or 10."),
    ],
)
def test_a_batch_that_does_not_divide_is_named_once_with_what_does(machine: dict[str, int], expected: str) -> None:
    with pytest.raises(UsageError) as caught:
        refuse(**machine)
    assert caught.value.messages == (f"p.yaml: entry 'images': {expected}",)


def test_a_batch_that_divides_passes() -> None:
    refuse(processes=3, gpus=8)  # on GPUs the number of CPU processes plays no part


def test_a_task_that_gives_every_process_the_whole_batch_is_not_divided() -> None:
    refuse(processes=3, select=("graph",))


def test_an_entry_that_asks_for_its_own_gpus_and_nodes_is_divided_by_those() -> None:
    wide = dataclasses.replace(PLAN.entries[0], gpus=4, nodes=3)
    plan = dataclasses.replace(PLAN, entries=(wide,))
    with pytest.raises(UsageError, match="is not divisible by 12 GPUs"):
        division.refuse_uneven(plan, expand(plan, catalogue()), catalogue(), processes=1, gpus=0)


def test_what_a_job_asks_for_leaves_its_id_alone() -> None:
    wide = dataclasses.replace(PLAN, entries=(dataclasses.replace(PLAN.entries[0], gpus=4, nodes=3),))
    alike = dataclasses.replace(PLAN, entries=PLAN.entries[:1])
    found = expand(wide, catalogue())
    assert [job.id for job in found] == [job.id for job in expand(alike, catalogue())]
    assert found[0].devices(gpus=0, processes=1) == (12, 0)
