"""Parts of a graph for training: what they hold, and that they follow seed and draw alone."""

import pytest
import torch
from torch import Tensor

from jobs.api import Draw
from jobs.data import graphs
from jobs.data.graphs import NodeGraph
from jobs.data.subgraphs import Clusters, Neighbourhoods

DRAWS: list[Draw] = [(0, 3), (0, 11), (2, 3)]


@pytest.fixture(scope="module")
def karate() -> NodeGraph:
    return graphs.load("karate", "default", None, kind="symmetric", scaling="raw")[0]


def rows(graph: NodeGraph, part: NodeGraph) -> Tensor:
    """Each node of the part as its number in the graph; features are all different there."""
    assert isinstance(graph.features, Tensor) and isinstance(part.features, Tensor)
    found = (part.features[:, None] == graph.features[None]).all(-1)
    assert found.sum(1).eq(1).all()
    return found.int().argmax(1)


def adjacent(graph: NodeGraph) -> Tensor:
    matrix = torch.zeros(len(graph.labels), len(graph.labels))
    matrix[graph.edges.index[0], graph.edges.index[1]] = 1
    return matrix


def test_every_node_is_in_one_cluster_and_sizes_differ_by_one(karate: NodeGraph) -> None:
    clusters = Clusters(karate, 9)
    assert torch.equal(torch.cat(clusters.parts).sort().values, torch.arange(len(karate.labels)))
    sizes = [len(part) for part in clusters.parts]
    assert (len(clusters), max(sizes) - min(sizes)) == (9, 1)


def test_clusters_cut_fewer_edges_than_chance_would(karate: NodeGraph) -> None:
    clusters = Clusters(karate, 9)
    kept = sum(clusters.batch([(0, number)]).edges.index.shape[1] for number in range(9))
    assert kept / karate.edges.index.shape[1] > 1.5 / 9


def test_a_cluster_batch_is_the_induced_subgraph(karate: NodeGraph) -> None:
    part = Clusters(karate, 9).batch([(0, 7), (0, 2)])
    nodes = rows(karate, part)
    torch.testing.assert_close(adjacent(part), adjacent(karate)[nodes][:, nodes])
    assert torch.equal(part.masks["train"], karate.masks["train"][nodes])
    assert torch.equal(part.labels, karate.labels[nodes])


def test_a_cluster_drawn_twice_counts_once(karate: NodeGraph) -> None:
    clusters = Clusters(karate, 9)
    assert len(clusters.batch([(0, 7), (1, 7)]).labels) == len(clusters.batch([(1, 7)]).labels)


def test_a_large_fanout_gives_the_whole_neighbourhood(karate: NodeGraph) -> None:
    sampler = Neighbourhoods(karate, hops=2, fanout=100, seed=0)
    part = sampler.batch([(0, 5)])
    root = sampler.roots[5]
    reached = torch.linalg.matrix_power(adjacent(karate) + torch.eye(len(karate.labels)), 2)[root] > 0
    nodes = rows(karate, part)
    assert torch.equal(nodes.sort().values, reached.nonzero()[:, 0])
    torch.testing.assert_close(adjacent(part), adjacent(karate)[nodes][:, nodes])
    assert nodes[part.masks["train"]].tolist() == [root]


def test_no_node_is_expanded_beyond_the_fanout(karate: NodeGraph) -> None:
    sampler = Neighbourhoods(karate, hops=2, fanout=3, seed=0)
    sizes = [len(sampler.batch([(0, i)]).labels) for i in range(len(sampler))]
    assert max(sizes) <= 1 + 3 + 9
    assert min(sizes) > 1


def test_neighbourhoods_in_a_batch_stay_apart(karate: NodeGraph) -> None:
    sampler = Neighbourhoods(karate, hops=2, fanout=3, seed=0)
    parts = [sampler.batch([draw]) for draw in DRAWS]
    joined = sampler.batch(DRAWS)
    torch.testing.assert_close(adjacent(joined), torch.block_diag(*(adjacent(part) for part in parts)))
    for name in ("features", "labels"):
        assert torch.equal(getattr(joined, name), torch.cat([getattr(part, name) for part in parts]))
    assert torch.equal(joined.masks["train"], torch.cat([part.masks["train"] for part in parts]))


def test_a_neighbourhood_follows_seed_and_draw_alone(karate: NodeGraph) -> None:
    def drawn(seed: int, draw: Draw) -> Tensor:
        torch.rand(1)
        return rows(karate, Neighbourhoods(karate, hops=2, fanout=3, seed=seed).batch([draw]))

    assert torch.equal(drawn(0, (0, 3)), drawn(0, (0, 3)))
    assert not torch.equal(drawn(0, (0, 3)), drawn(0, (1, 3)))
    assert not torch.equal(drawn(0, (0, 3)), drawn(1, (0, 3)))


def test_neighbours_are_drawn_evenly(karate: NodeGraph) -> None:
    """One draw of one neighbour of the best connected training node, many times over."""
    sampler = Neighbourhoods(karate, hops=1, fanout=1, seed=0)
    degrees = torch.bincount(karate.edges.index[0])[sampler.roots]
    place, degree = int(degrees.argmax()), int(degrees.max())
    drawn = torch.cat([rows(karate, sampler.batch([(epoch, place)])) for epoch in range(400)])
    counts = torch.bincount(drawn[drawn != sampler.roots[place]])
    counts = counts[counts > 0]
    assert (len(counts), counts.sum()) == (degree, 400)
    assert ((counts - 400 / degree) ** 2 / (400 / degree)).sum() < 3 * degree


def test_sparse_features_are_cut_as_dense_ones_are(karate: NodeGraph) -> None:
    thin = graphs.dataclasses.replace(karate, features=graphs.from_dense(karate.features))  # type: ignore[arg-type]
    found = Neighbourhoods(thin, hops=2, fanout=3, seed=0).batch(DRAWS).features
    assert torch.equal(found.dense(), Neighbourhoods(karate, hops=2, fanout=3, seed=0).batch(DRAWS).features)  # type: ignore[union-attr,arg-type]
