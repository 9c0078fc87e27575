"""Published figures say where they come from and how they were obtained, and stand beside settings of ours."""

import inspect
from pathlib import Path

import pytest

from jobs import registry
from suite.leaderboard.published import MARKS, REFERENCE, Published, published, read

FILES = sorted(REFERENCE.glob("*.yaml"))


def named(path: Path) -> str:
    return {"graphs": "graph"}.get(path.stem, path.stem)


@pytest.mark.parametrize("path", FILES, ids=named)
def test_every_published_figure_has_a_source_a_mark_and_a_data_set(path: Path) -> None:
    for line in read(path):
        assert line.source and line.data and line.model and line.variant
        assert line.mark in MARKS
        assert line.figures and all(isinstance(value, int | float) for value in line.figures.values())


@pytest.mark.parametrize("path", FILES, ids=named)
def test_what_a_figure_stands_beside_is_what_the_task_knows(path: Path) -> None:
    arguments = inspect.signature(registry.task(named(path))).parameters
    for line in read(path):
        assert set(line.like) <= set(arguments), line


def test_every_task_has_published_figures() -> None:
    assert {named(path) for path in FILES} == set(registry.task_names())


def beside(data: str, **arguments: object) -> dict[tuple[str, str], Published]:
    return {(line.model, line.variant): line for line in published({"data": data, "arguments": arguments})}


def test_a_graph_network_stands_beside_those_of_its_depth_and_body() -> None:
    found = beside("cora", model="gcn", depth=64, width=64)
    assert {name: line.figures["accuracy"] for name, line in found.items()} == {
        ("GCN", "none"): 28.7,
        ("GCN", "DropEdge"): 49.5,
    }
    assert beside("cora", model="gcn", depth=63) == {}
    assert beside("cora", model="gcnii", depth=64)["GCNII", "none"].figures == {"accuracy": 85.5}


def test_figures_of_other_data_do_not_stand_beside_ours() -> None:
    assert beside("tiny-imagenet-100", model="deit_tiny_patch16_224") == {}
    assert beside("imagenet", model="deit_tiny_patch16_224")["DeiT-tiny", "softmax"].mark == "recalled"
