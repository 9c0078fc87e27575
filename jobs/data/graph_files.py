"""Reading real graphs from their published raw files, through PyTorch Geometric's and OGB's own readers, offline.

The readers download what is missing and write beside what they read; here they work on links in a scratch folder and
any download is refused with the names of the missing files. A data set's raw files lie below DATA/graphs/<place>.

Source: Yang, Cohen, Salakhutdinov, "Revisiting Semi-Supervised Learning with Graph Embeddings", ICML 2016 (Planetoid);
Pei et al., "Geom-GCN", ICLR 2020 (the ten splits, WebKB, Actor, Wikipedia); Platonov et al., "A Critical Look at the
Evaluation of GNNs under Heterophily", ICLR 2023; Shchur et al., "Pitfalls of Graph Neural Network Evaluation", 2018
(Amazon, Coauthor); Hu et al., "Open Graph Benchmark", NeurIPS 2020.
"""

import dataclasses
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch_geometric import datasets
from torch_geometric.data import Data

from jobs.errors import DataError

Reader = Callable[[Path, str, str], Data]
"""Family folder, data set folder and split in, one graph out."""


class _Missing(Exception):
    """Raw files that are not there, relative to their family's folder."""

    def __init__(self, files: list[str]) -> None:
        super().__init__(", ".join(files))
        self.files = files


def _offline(name: str) -> Callable[..., Any]:
    """PyTorch Geometric's data set class `name`, its download refused."""

    def refuse(self: Any) -> None:
        paths = [Path(path) for path in self.raw_paths]
        raise _Missing([path.relative_to(self.root).as_posix() for path in paths if not path.exists()])

    return type(name, (getattr(datasets, name),), {"download": refuse})


def _named(family: str) -> Reader:
    """A family whose class takes the folder's name."""
    return lambda root, folder, split: _offline(family)(str(root), folder)[0]


def _planetoid(root: Path, folder: str, split: str) -> Data:
    return _offline("Planetoid")(str(root), folder, split="public" if split == "public" else "geom-gcn")[0]


def _actor(root: Path, folder: str, split: str) -> Data:
    return _offline("Actor")(str(root / folder))[0]


def _ogb(root: Path, folder: str, split: str) -> Data:
    """One of OGB's node property graphs, in its text layout."""
    place = root / folder
    names = ("edge", "node-feat", "node-label", "num-node-list", "num-edge-list")
    wanted = ["RELEASE_v1.txt", *(f"raw/{name}.csv.gz" for name in names)]
    missing = [f"{folder}/{file}" for file in wanted if not (place / file).exists()]
    if missing or not any(place.glob("split/*/train.csv.gz")):
        raise _Missing(missing or [f"{folder}/split/*/train.csv.gz"])
    sys.modules.setdefault("outdated", None)  # type: ignore[arg-type]  # else ogb asks the network for newer versions
    try:
        from ogb.nodeproppred import NodePropPredDataset  # optional
    except ImportError as error:
        raise DataError(f"{folder} is read by the package ogb, which is not installed; `pip install ogb`.") from error
    (place / "processed").mkdir(exist_ok=True)
    found = NodePropPredDataset(folder.replace("_", "-"), str(root))
    graph, labels = found[0]
    data = Data(x=torch.tensor(graph["node_feat"]), y=torch.tensor(labels)[:, 0].long())
    data.edge_index = torch.tensor(graph["edge_index"])
    for part, theirs in (("train", "train"), ("val", "valid"), ("test", "test")):
        mask = torch.zeros(len(data.y), dtype=torch.bool)
        mask[torch.tensor(found.get_idx_split()[theirs])] = True
        data[f"{part}_mask"] = mask
    return data


@dataclasses.dataclass(frozen=True)
class Source:
    """Where a data set lies and how it is read.

    Args:
        family: folder below DATA/graphs, empty if the data set's own folder lies there.
        folder: the data set's own.
        read: the family's reader.
        counts: whether features are counts of words, whose rows are published with sum 1.
    """

    family: str
    folder: str
    read: Reader
    counts: bool = True


SOURCES: Mapping[str, Source] = {
    "cora": Source("planetoid", "Cora", _planetoid),
    "citeseer": Source("planetoid", "CiteSeer", _planetoid),
    "pubmed": Source("planetoid", "PubMed", _planetoid),
    "cornell": Source("webkb", "cornell", _named("WebKB")),
    "texas": Source("webkb", "texas", _named("WebKB")),
    "wisconsin": Source("webkb", "wisconsin", _named("WebKB")),
    "actor": Source("", "actor", _actor),
    "chameleon": Source("wikipedia", "chameleon", _named("WikipediaNetwork")),
    "squirrel": Source("wikipedia", "squirrel", _named("WikipediaNetwork")),
    "roman-empire": Source("heterophilous", "roman_empire", _named("HeterophilousGraphDataset"), counts=False),
    "amazon-ratings": Source("heterophilous", "amazon_ratings", _named("HeterophilousGraphDataset"), counts=False),
    "minesweeper": Source("heterophilous", "minesweeper", _named("HeterophilousGraphDataset"), counts=False),
    "tolokers": Source("heterophilous", "tolokers", _named("HeterophilousGraphDataset"), counts=False),
    "questions": Source("heterophilous", "questions", _named("HeterophilousGraphDataset"), counts=False),
    "amazon-computers": Source("amazon", "Computers", _named("Amazon")),
    "amazon-photo": Source("amazon", "Photo", _named("Amazon")),
    "coauthor-cs": Source("coauthor", "CS", _named("Coauthor")),
    "coauthor-physics": Source("coauthor", "Physics", _named("Coauthor")),
    "ogbn-arxiv": Source("ogb", "ogbn_arxiv", _ogb, counts=False),
    "ogbn-products": Source("ogb", "ogbn_products", _ogb, counts=False),
}


def read(name: str, split: str, root: Path | None) -> Data:
    """The graph `name` as published, features not yet normalised.

    Raises:
        DataError: files are missing below `root`, or cannot be read.
    """
    source = SOURCES[name]
    family = (root or Path("DATA")) / "graphs" / source.family
    advice = f"Run `unsmooth data prepare {name}`, or point --data to the folder that holds graphs/."
    with tempfile.TemporaryDirectory() as scratch:
        if root is not None and (family / source.folder).is_dir():
            _mirror(family / source.folder, Path(scratch) / source.folder)
        try:
            return source.read(Path(scratch), source.folder, split)
        except _Missing as error:
            raise DataError(f"{name}: {_listed(error.files)} not found in {family}. {advice}") from error
        except (OSError, EOFError, ValueError, RuntimeError, IndexError, KeyError) as error:
            place = family / source.folder
            raise DataError(f"{name}: the files in {place} cannot be read ({error}). {advice}") from error


def _mirror(folder: Path, scratch: Path) -> None:
    """The same tree of links, without what readers have written there."""
    ignored = shutil.ignore_patterns("processed")
    shutil.copytree(folder.resolve(), scratch, copy_function=os.symlink, ignore=ignored)


def _listed(files: list[str]) -> str:
    more = f" and {len(files) - 3} more" if len(files) > 3 else ""
    return ", ".join(files[:3]) + more


def row_normalised(features: Tensor) -> Tensor:
    """Each row of counts (N, F) divided by its sum; a row of zeros stays."""
    return features / features.sum(1, keepdim=True).clamp(min=1)
