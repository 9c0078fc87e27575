"""Where jobs go: never more than a node holds, tight, the largest first, and never put off for ever."""

import math
import random

from hypothesis import given
from hypothesis import strategies as st

from suite.running.placement import SUSPECT_S, Floor, Room, Wish

rooms = st.dictionaries(
    st.sampled_from(["a", "b", "c", "d"]),
    st.builds(Room, cpus=st.integers(1, 16), gpus=st.integers(0, 8)),
    min_size=1,
)
wishes = st.builds(
    Wish,
    nodes=st.integers(1, 3),
    cpus=st.integers(1, 20),
    gpus=st.integers(0, 8),
    lasts_s=st.sampled_from([1.0, 10.0, math.inf]),
)


def floor(**nodes: int) -> Floor:
    """Nodes with so many GPUs, and CPUs enough."""
    made = Floor()
    made.update({name: Room(cpus=64, gpus=gpus) for name, gpus in nodes.items()})
    return made


def test_a_node_on_which_something_was_lost_gets_no_job_for_a_while() -> None:
    made, wish = floor(a=1, b=1), Wish(cpus=1, gpus=1)
    made.suspect(["a"], now=10.0)
    assert made.offer(wish, 10.0) == ("b",)
    made.take("one", ["b"], wish, 10.0)
    made.update({name: Room(cpus=64, gpus=1) for name in "ab"}, now=10.0 + SUSPECT_S - 1)
    assert made.offer(wish, 10.0 + SUSPECT_S - 1) is None
    made.update({name: Room(cpus=64, gpus=1) for name in "ab"}, now=10.0 + SUSPECT_S)
    assert made.offer(wish, 10.0 + SUSPECT_S) == ("a",)


def test_the_only_node_is_never_suspected() -> None:
    made = floor(a=1)
    made.suspect(["a"], now=0.0)
    assert made.offer(Wish(cpus=1, gpus=1), 0.0) == ("a",)


@given(rooms, st.lists(wishes, max_size=12))
def test_no_node_ever_holds_more_than_it_has(nodes: dict[str, Room], asked: list[Wish]) -> None:
    made, used = Floor(), dict.fromkeys(nodes, Room(cpus=0, gpus=0))
    made.update(nodes)
    most = max(room.cpus for room in nodes.values())
    for key, wish in enumerate(asked):
        found = made.offer(wish, 0.0)
        if found is None:
            continue
        assert len(set(found)) == wish.nodes
        made.take(str(key), found, wish, 0.0)
        for name in found:
            used[name] += Room(cpus=min(wish.cpus, most), gpus=wish.gpus)
            assert nodes[name].holds(used[name])


@given(rooms, wishes)
def test_what_is_possible_is_offered_on_an_empty_floor_and_nothing_else(nodes: dict[str, Room], wish: Wish) -> None:
    made = Floor()
    made.update(nodes)
    assert made.possible(wish) == (made.offer(wish, 0.0) is not None)


@given(rooms, st.lists(wishes, max_size=8))
def test_whatever_ends_leaves_the_floor_as_it_was(nodes: dict[str, Room], asked: list[Wish]) -> None:
    made = Floor()
    made.update(nodes)
    taken = []
    for key, wish in enumerate(asked):
        if found := made.offer(wish, 0.0):
            made.take(str(key), found, wish, 0.0)
            taken.append(str(key))
    for key in taken:
        made.release(key)
    assert all((made.offer(wish, 0.0) is not None) == made.possible(wish) for wish in asked[:1])


def test_a_job_goes_where_the_least_is_left_over() -> None:
    assert floor(large=8, small=2).offer(Wish(cpus=1, gpus=2), 0.0) == ("small",)


def test_a_gang_over_nodes_gets_as_many_on_each() -> None:
    assert floor(a=4, b=2, c=4).offer(Wish(nodes=2, cpus=1, gpus=4), 0.0) == ("a", "c")


def test_room_on_two_nodes_together_is_no_room() -> None:
    assert floor(a=2, b=2).offer(Wish(cpus=1, gpus=4), 0.0) is None


def test_more_threads_than_any_node_has_cores_mean_a_node_of_its_own() -> None:
    made = Floor()
    made.update({"a": Room(cpus=4, gpus=0)})
    made.take("x", ("a",), wide := Wish(cpus=9), 0.0)
    assert made.offer(wide, 0.0) is None
    assert made.offer(Wish(cpus=1), 0.0) is None


def test_a_small_job_may_pass_a_large_one_only_if_it_has_ended_by_then() -> None:
    made = floor(a=4)
    made.take("running", ("a",), Wish(cpus=1, gpus=2, lasts_s=100), 0.0)
    assert made.offer(Wish(cpus=1, gpus=4), 0.0) is None
    assert made.offer(Wish(cpus=1, gpus=1), 0.0) is None
    assert made.offer(Wish(cpus=1, gpus=2, lasts_s=101), 0.0) is None
    assert made.offer(Wish(cpus=1, gpus=1, lasts_s=100), 0.0) == ("a",)


def test_a_small_job_may_use_what_the_large_one_leaves() -> None:
    made = floor(a=4, b=8)
    made.take("x", ("a",), Wish(cpus=1, gpus=4, lasts_s=50), 0.0)
    made.take("y", ("b",), Wish(cpus=1, gpus=6, lasts_s=10), 0.0)
    assert made.offer(Wish(cpus=1, gpus=6), 0.0) is None  # reserves b
    assert made.offer(Wish(cpus=1, gpus=2), 0.0) == ("b",)


def test_a_lost_node_takes_its_jobs_and_its_room_with_it() -> None:
    made = floor(a=2, b=2)
    made.take("x", ("a",), Wish(cpus=1, gpus=2), 0.0)
    made.update({"b": Room(cpus=64, gpus=2)})
    assert made.offer(Wish(cpus=1, gpus=2), 0.0) == ("b",)
    assert made.possible(Wish(nodes=2, cpus=1, gpus=2))
    assert made.offer(Wish(nodes=2, cpus=1, gpus=2), 0.0) is None


def test_a_mixed_plan_takes_little_longer_than_the_lower_bound() -> None:
    """Jobs of 1, 2 and 4 GPUs on 8, simulated: at most 1.1 times what no schedule could beat."""
    draw = random.Random(3)
    waiting = [Wish(cpus=1, gpus=draw.choice([1, 2, 4]), lasts_s=draw.uniform(10, 100)) for _ in range(80)]
    bound = sum(wish.gpus * wish.lasts_s for wish in waiting) / 8
    made, now, running = floor(a=8), 0.0, {}
    waiting.sort(key=lambda wish: (wish.size, wish.lasts_s), reverse=True)
    while waiting or running:
        for wish in list(waiting):
            if found := made.offer(wish, now):
                made.take(str(id(wish)), found, wish, now)
                running[str(id(wish))] = now + wish.lasts_s
                waiting.remove(wish)
        first = min(running, key=running.__getitem__)
        now = running.pop(first)
        made.release(first)
    assert now <= 1.1 * bound
