"""Reading graphs: PyTorch Geometric's loaders for real data, karate club and a block model embedded.

Source: Zachary, "An Information Flow Model for Conflict and Fission in Small Groups", 1977; Yang, Cohen,
Salakhutdinov, "Revisiting Semi-Supervised Learning with Graph Embeddings", ICML 2016 (Planetoid); Pei et al.,
"Geom-GCN", ICLR 2020 (the ten splits, Actor).
"""

import dataclasses
import shutil
import tempfile
from pathlib import Path

import torch
from torch import Tensor
from torch_geometric.data import Data
from torch_geometric.datasets import Actor, KarateClub, Planetoid
from torch_geometric.transforms import NormalizeFeatures
from torch_geometric.utils import coalesce, remove_self_loops, stochastic_blockmodel_graph, to_undirected

from jobs.errors import DataError
from jobs.operators.graph import Edges, Kind
from jobs.provenance import digest_bytes
from jobs.randomness import derive

_FOLDERS = {"cora": ("planetoid", "Cora"), "citeseer": ("planetoid", "CiteSeer"), "actor": ("actor",)}
_BLOCKS, _PER_BLOCK, _NEAR, _FAR = 4, 60, 0.10, 0.01
"""The block model: four communities of 60 nodes, edge probability inside and across."""


@dataclasses.dataclass(frozen=True)
class NodeGraph:
    """Features (N, F), labels (N,), masks (N,) by part, and the normalised edges."""

    features: Tensor
    labels: Tensor
    masks: dict[str, Tensor]
    edges: Edges
    classes: int

    def to(self, device: torch.device) -> "NodeGraph":
        masks = {part: mask.to(device) for part, mask in self.masks.items()}
        return NodeGraph(self.features.to(device), self.labels.to(device), masks, self.edges.to(device), self.classes)


def load(name: str, split: str, root: Path | None, kind: Kind) -> tuple[NodeGraph, str]:
    """The graph `name` with its digest.

    Raises:
        DataError: the files are not below `root`, or cannot be read.
    """
    data = karate() if name == "karate" else _read(name, split, root)
    if data.train_mask.ndim == 2:
        column = int(split.rpartition("-")[2])
        masks = {part: data[f"{part}_mask"][:, column] for part in ("train", "val", "test")}
    else:
        masks = {part: data[f"{part}_mask"] for part in ("train", "val", "test")}
    index = coalesce(remove_self_loops(to_undirected(data.edge_index))[0])
    edges = Edges(index, data.num_nodes, kind)
    parts = [data.x, data.y, index, *masks.values()]
    digest = digest_bytes(*(part.contiguous().numpy().tobytes() for part in parts))
    return NodeGraph(data.x, data.y, masks, edges, int(data.y.max()) + 1), digest


def karate() -> Data:
    """Karate club and a block model of the same four classes, as one graph of 274 nodes in two components.

    Features: karate nodes carry their degree profile, block nodes a noisy code of their community; both are 16 wide,
    so that a network has to use the edges. A quarter of each class trains, a quarter validates, the rest tests.
    """
    draws = torch.Generator().manual_seed(derive(0, "karate"))
    club = KarateClub()[0]
    sizes = [_PER_BLOCK] * _BLOCKS
    chances = torch.full((_BLOCKS, _BLOCKS), _FAR).fill_diagonal_(_NEAR)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive(0, "blocks"))
        blocks = stochastic_blockmodel_graph(sizes, chances, directed=False)
    labels = torch.cat([club.y, torch.arange(_BLOCKS).repeat_interleave(_PER_BLOCK)])
    codes = torch.randn(_BLOCKS, 16, generator=draws)
    features = 0.5 * codes[labels] + torch.randn(len(labels), 16, generator=draws)
    index = torch.cat([club.edge_index, blocks + club.num_nodes], 1)
    data = Data(x=features, y=labels, edge_index=index, num_nodes=len(labels))
    rank = _rank_in_class(labels, draws)
    data.train_mask, data.val_mask = rank < 0.25, (rank >= 0.25) & (rank < 0.5)
    data.test_mask = rank >= 0.5
    return data


def _rank_in_class(labels: Tensor, draws: torch.Generator) -> Tensor:
    """Each node's place in a random order of its class, in [0, 1)."""
    place = torch.zeros(len(labels))
    for label in labels.unique():
        members = (labels == label).nonzero()[:, 0]
        order = torch.randperm(len(members), generator=draws)
        place[members[order]] = torch.arange(len(members)) / len(members)
    return place


def _read(name: str, split: str, root: Path | None) -> Data:
    """Read raw files below `root`/graphs through a scratch copy: the loaders write beside what they read."""
    where = (root or Path("DATA")) / "graphs" / Path(*_FOLDERS[name])
    if root is None or not any(where.glob("**/raw/*")):
        raise DataError(f"{name}: no raw files in {where}. Point --data to the folder that holds graphs/.")
    with tempfile.TemporaryDirectory() as scratch:
        copy = Path(scratch) / where.name
        shutil.copytree(where, copy, copy_function=shutil.copyfile, ignore=shutil.ignore_patterns("processed"))
        try:
            if name == "actor":
                return Actor(str(copy), transform=NormalizeFeatures())[0]
            kind = "public" if split == "public" else "geom-gcn"
            return Planetoid(scratch, where.name, split=kind, transform=NormalizeFeatures())[0]
        except (OSError, EOFError, ValueError, RuntimeError) as error:
            raise DataError(f"{name}: the files in {where} cannot be read ({error}).") from error
