"""Loading graphs: every family's raw format, the splits, what is refused, and the renumbering of nodes."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy
import pytest
import torch
from torch import Tensor

from jobs.data import graph_files, graphs, splits
from jobs.data.graphs import NodeGraph
from jobs.errors import DataError
from jobs.operators.sparse import SparseMatrix
from jobs.tasks.graph import Graph
from tests.jobs.data import raw_graphs


def load(name: str, split: str, root: Path | None, **changes: str) -> NodeGraph:
    wanted = {"kind": "symmetric", "scaling": "published"} | changes
    return graphs.load(name, split, root, **wanted)[0]  # type: ignore[arg-type]


def dense(graph: NodeGraph) -> Tensor:
    return graph.features.dense() if isinstance(graph.features, SparseMatrix) else graph.features


def written(name: str, root: Path) -> Path:
    place, write = raw_graphs.WRITERS[name]
    write(root / "graphs" / place)
    return root


def first_split(name: str) -> str:
    return Graph.datasets[name].splits[0]


@pytest.mark.parametrize("name", sorted(raw_graphs.WRITERS))
def test_a_family_is_read_from_its_raw_files(name: str, tmp_path: Path) -> None:
    graph = load(name, first_split(name), written(name, tmp_path))
    assert len(graph.labels) == raw_graphs.NODES
    assert graph.edges.index.shape[1] == 2 * len(raw_graphs.EDGES)
    assert graph.classes == (2 if name == "minesweeper" else 4)
    parts = [graph.masks[part].sum().item() for part in splits.PARTS]
    assert parts == ([40, 0, 0] if first_split(name).startswith("random") else [24, 8, 8])
    assert not list(tmp_path.rglob("processed"))


@pytest.mark.parametrize("name", ["cornell", "chameleon", "actor", "minesweeper", "amazon-photo"])
def test_renumbering_keeps_each_node_with_its_features_neighbours_and_parts(name: str, tmp_path: Path) -> None:
    """Every node is known by its own row: features, label, split and the same of its neighbours."""
    split = first_split(name)
    graph = load(name, split, written(name, tmp_path), scaling="raw")
    data = graph_files.read(name, split, tmp_path)
    masks = splits.masks(data, split)

    def portraits(x: Tensor, y: Tensor, parts: dict[str, Tensor], index: Tensor) -> list[list[float]]:
        own = torch.cat([x.double(), y[:, None].double(), torch.stack(list(parts.values()), 1).double()], 1)
        around = torch.zeros_like(own).index_add_(0, index[1], own[index[0]])
        return sorted(torch.cat([own, around], 1).tolist())

    both = torch.tensor(raw_graphs.EDGES + [(b, a) for a, b in raw_graphs.EDGES]).T
    expected = portraits(data.x, data.y, masks, both)
    assert portraits(dense(graph), graph.labels, graph.masks, graph.edges.index) == expected


def test_word_counts_are_row_normalised_and_embeddings_are_not(tmp_path: Path) -> None:
    counts = dense(load("texas", "geom-gcn-1", written("texas", tmp_path)))
    assert set(counts.sum(1).round(decimals=5).tolist()) <= {0.0, 1.0}
    embedded = dense(load("roman-empire", "split-1", written("roman-empire", tmp_path)))
    assert sorted(embedded.unique().tolist()) == [-0.5, 0.5]


def test_mostly_empty_features_stay_sparse() -> None:
    assert isinstance(load("karate", "default", None).features, Tensor)
    kept = graphs.from_dense(torch.eye(7))
    assert isinstance(kept, SparseMatrix) and len(kept.weights) == 7


def test_a_column_belongs_to_its_number(tmp_path: Path) -> None:
    written("wisconsin", tmp_path)
    for number in (0, 7):
        data = graph_files.read("wisconsin", f"geom-gcn-{number}", tmp_path)
        found = splits.masks(data, f"geom-gcn-{number}")
        for part, mask in found.items():
            numpy.testing.assert_array_equal(mask, raw_graphs.column(number)[f"{part}_mask"])


def test_random_splits_take_twenty_and_thirty_of_each_class() -> None:
    labels = torch.arange(3).repeat_interleave(100)
    found = splits.drawn(labels, 4)
    for part, count in (("train", 20), ("val", 30), ("test", 50)):
        assert torch.bincount(labels[found[part]]).tolist() == [count] * 3
    assert torch.equal(sum(mask.int() for mask in found.values()), torch.ones(300, dtype=torch.int32))
    assert torch.equal(splits.drawn(labels, 4)["train"], found["train"])
    assert not torch.equal(splits.drawn(labels, 5)["train"], found["train"])


@pytest.mark.parametrize("name", sorted(graph_files.SOURCES))
def test_missing_files_are_named_and_never_downloaded(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def reached_out(*_: object, **__: object) -> None:
        raise AssertionError("the loader opened a connection")

    monkeypatch.setattr(socket.socket, "connect", reached_out)
    with pytest.raises(DataError, match=rf"^{name}: .*(raw|RELEASE).*not found.*`unsmooth data prepare {name}`"):
        load(name, first_split(name), tmp_path)


def test_one_missing_file_is_named_alone(tmp_path: Path) -> None:
    written("cornell", tmp_path)
    (tmp_path / "graphs/webkb/cornell/raw/out1_graph_edges.txt").unlink()
    with pytest.raises(DataError, match=r"^cornell: cornell/raw/out1_graph_edges\.txt not found in .*webkb\. Run"):
        load("cornell", "geom-gcn-0", tmp_path)


def test_a_damaged_file_is_a_data_error(tmp_path: Path) -> None:
    written("texas", tmp_path)
    (tmp_path / "graphs/webkb/texas/raw/out1_node_feature_label.txt").write_text("header\nnonsense\n")
    with pytest.raises(DataError, match=r"texas: the files in .* cannot be read"):
        load("texas", "geom-gcn-0", tmp_path)


def test_ogb_is_read_if_its_package_is_there_and_asked_for_otherwise(tmp_path: Path) -> None:
    raw_graphs.ogb(tmp_path / "graphs/ogb/ogbn_arxiv")
    try:
        import ogb  # noqa: F401
    except ImportError:
        with pytest.raises(DataError, match="read by the package ogb, which is not installed"):
            load("ogbn-arxiv", "ogb", tmp_path)
        return
    graph = load("ogbn-arxiv", "ogb", tmp_path)
    assert [graph.masks[part].sum().item() for part in splits.PARTS] == [24, 8, 8]
    assert (len(graph.labels), graph.classes) == (raw_graphs.NODES, 4)


def test_every_data_set_has_a_source() -> None:
    assert sorted(graph_files.SOURCES) == sorted(set(Graph.datasets) - {"karate"})


ORDER = """
import hashlib, torch
from jobs.data.graphs import locality
index = torch.randint(0, 400, (2, 600), generator=torch.Generator().manual_seed(0))
order = locality(torch.cat([index, index.flip(0)], 1), 400)
print(hashlib.sha256(order.numpy().tobytes()).hexdigest()[:12])
"""


@pytest.mark.parametrize("without", ["", "X86_V4 AVX512_ICL AVX512_SPR", "X86_V3 X86_V4 AVX512_ICL AVX512_SPR"])
def test_nodes_are_in_one_order_whatever_the_processor(without: str) -> None:
    """Dropout deals its draws out in this order; NumPy's own sort breaks ties by the instructions that it has."""
    environment = {**os.environ, "NPY_DISABLE_CPU_FEATURES": without, "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(
        [sys.executable, "-c", ORDER], capture_output=True, text=True, env=environment, check=True, timeout=120
    )
    assert done.stdout == "8011b5b61a44\n"


def test_the_order_takes_neighbours_together_and_leaves_nobody_out() -> None:
    """A path whose nodes are numbered at random, beside a triangle and two nodes alone."""
    names = torch.randperm(60, generator=torch.Generator().manual_seed(1))
    path = torch.stack([names[:54], names[1:55]])
    triangle = torch.stack([names[[55, 56, 57]], names[[56, 57, 55]]])
    index = torch.cat([path, triangle], 1)
    order = graphs.locality(torch.cat([index, index.flip(0)], 1), 60)
    assert sorted(order.tolist()) == list(range(60))
    place = torch.empty_like(order)
    place[order] = torch.arange(60)
    assert (place[path[0]] - place[path[1]]).abs().max() == 1
    assert (place[triangle[0]] - place[triangle[1]]).abs().max() == 2
