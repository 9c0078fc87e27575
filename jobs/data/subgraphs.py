"""Training on parts of a large graph: clusters, or a sampled neighbourhood of each training node.

All layers of a network see the same nodes, so that first-layer values exist for every node that a later layer asks
for. A part is the induced subgraph, normalised by its own degrees. What is drawn follows (seed, epoch, node) alone.

Source: Chiang et al., "Cluster-GCN", KDD 2019 (there METIS makes the clusters, here runs of nodes in the graph's
locality order, breadth first); Zeng et al., "Decoupling the Depth and Scope of Graph Neural Networks" (shaDow),
NeurIPS 2021.
"""

import dataclasses
from collections.abc import Sequence
from typing import Protocol

import numpy
import torch
from numpy.typing import NDArray
from torch import Tensor

from jobs.api import Draw
from jobs.data.graphs import NodeGraph
from jobs.operators.graph import Edges
from jobs.operators.sparse import entries
from jobs.randomness import derive

_GOLDEN, _FIRST, _SECOND = (numpy.uint64(n) for n in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB))


class Sampler(Protocol):
    """Makes training batches of a graph."""

    def __len__(self) -> int:
        """Samples in an epoch."""
        ...

    def batch(self, draws: Sequence[Draw]) -> NodeGraph:
        """One graph whose `train` mask holds the nodes that the loss is taken of."""
        ...


class Clusters:
    """The graph in `count` parts of equal size; a batch joins its clusters, edges between them included."""

    def __init__(self, graph: NodeGraph, count: int) -> None:
        self.graph, self.starts = graph, _starts(graph)
        self.parts = torch.arange(len(graph.labels)).tensor_split(count)

    def __len__(self) -> int:
        return len(self.parts)

    def batch(self, draws: Sequence[Draw]) -> NodeGraph:
        chosen = sorted({index for _, index in draws})
        nodes = torch.cat([self.parts[index] for index in chosen])
        index = _induced(self.graph, self.starts, nodes, nodes)
        return _part(self.graph, nodes, index, self.graph.masks["train"][nodes])


@dataclasses.dataclass(frozen=True)
class Neighbourhoods:
    """Around each training node, up to `fanout` neighbours of every node within `hops`; a batch keeps them apart."""

    graph: NodeGraph
    hops: int
    fanout: int
    seed: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "starts", _starts(self.graph))
        object.__setattr__(self, "roots", self.graph.masks["train"].nonzero()[:, 0])

    starts: Tensor = dataclasses.field(init=False)
    roots: Tensor = dataclasses.field(init=False)

    def __len__(self) -> int:
        return len(self.roots)

    def batch(self, draws: Sequence[Draw]) -> NodeGraph:
        salts = numpy.array([derive(self.seed, "around", *draw) for draw in draws], dtype=numpy.uint64)
        centres = torch.arange(len(draws)) * self._nodes + self.roots[[index for _, index in draws]]
        keys = self._around(centres, salts)
        nodes = keys % self._nodes
        index = _induced(self.graph, self.starts, nodes, keys)
        return _part(self.graph, nodes, index, torch.isin(keys, centres))

    @property
    def _nodes(self) -> int:
        return len(self.graph.labels)

    def _around(self, centres: Tensor, salts: NDArray[numpy.uint64]) -> Tensor:
        """Sorted keys, owner * N + node, of every node in the owners' neighbourhoods."""
        seen = frontier = centres
        for hop in range(self.hops):
            found = self._step(frontier, salts, hop)
            frontier = found[~torch.isin(found, seen)].unique()
            seen = torch.cat([seen, frontier])
        return seen.sort().values

    def _step(self, keys: Tensor, salts: NDArray[numpy.uint64], hop: int) -> Tensor:
        """Keys of up to `fanout` neighbours of each: all of them, or as many draws with replacement."""
        owners, nodes = keys // self._nodes, keys % self._nodes
        begins = self.starts[nodes]
        degrees = (self.starts[nodes + 1] - begins)[:, None]
        slots = torch.arange(self.fanout)[None]
        place = hop * self._nodes + nodes[:, None]
        bits = _mixed(salts[owners.numpy()][:, None], (place * self.fanout + slots).numpy().astype(numpy.uint64))
        drawn = torch.from_numpy((bits >> numpy.uint64(1)).astype(numpy.int64)) % degrees.clamp(min=1)
        picks = torch.where(degrees <= self.fanout, slots, drawn)
        valid = slots < degrees
        neighbours = self.graph.edges.index[1][(begins[:, None] + picks)[valid]]
        return owners[:, None].expand_as(valid)[valid] * self._nodes + neighbours


def _mixed(salts: NDArray[numpy.uint64], counters: NDArray[numpy.uint64]) -> NDArray[numpy.uint64]:
    """64 random bits for each counter: the splitmix64 generator at that place of the salt's stream."""
    bits = salts + (counters + numpy.uint64(1)) * _GOLDEN
    bits = (bits ^ (bits >> numpy.uint64(30))) * _FIRST
    bits = (bits ^ (bits >> numpy.uint64(27))) * _SECOND
    return bits ^ (bits >> numpy.uint64(31))


def _starts(graph: NodeGraph) -> Tensor:
    """(N + 1,), where each node's edges begin; edges lie in order of their sources."""
    starts = torch.zeros(len(graph.labels) + 1, dtype=torch.long)
    starts[1:] = torch.bincount(graph.edges.index[0], minlength=len(graph.labels)).cumsum(0)
    return starts


def _induced(graph: NodeGraph, starts: Tensor, nodes: Tensor, keys: Tensor) -> Tensor:
    """(2, E) edges among the sorted `keys`, as places in them; nodes of different owners are never joined."""
    which, places = entries(starts, nodes)
    wanted = (keys - nodes)[which] + graph.edges.index[1][places]
    found = torch.searchsorted(keys, wanted).clamp(max=len(keys) - 1)
    there = keys[found] == wanted
    return torch.stack([which[there], found[there]])


def _part(graph: NodeGraph, nodes: Tensor, index: Tensor, train: Tensor) -> NodeGraph:
    features = graph.features[nodes] if isinstance(graph.features, Tensor) else graph.features.select(nodes)
    edges = Edges(index, len(nodes), graph.edges.kind)
    return NodeGraph(features, graph.labels[nodes], {"train": train}, edges, graph.classes)
