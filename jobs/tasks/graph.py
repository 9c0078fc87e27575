"""Node classification with a deep graph network: published splits, the weights of the best validation loss tested."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from jobs.api import Dataset, Draw, Metric, Plug, Task

_GEOM = tuple(f"geom-gcn-{i}" for i in range(10))
_TEN = tuple(f"split-{i}" for i in range(10))
_RANDOM = tuple(f"random-{i}" for i in range(10))
_ACCURACY, _LOSS = Metric("accuracy", "%", "higher"), Metric("loss", "nat", "lower")
_ROC_AUC = Metric("roc_auc", "%", "higher")
_BINARY = ("minesweeper", "tolokers", "questions")
"""Data sets published with the area under the ROC curve."""

_APPLIES = {
    "heads": ("model", ("gat",)),
    "alpha": ("model", ("gcnii", "appnp", "gprgnn")),
    "lam": ("model", ("gcnii",)),
    "normalisation": ("model", ("gcn", "sgc", "gcnii", "appnp", "dagnn", "gprgnn")),
    "clusters": ("sampling", ("cluster",)),
    "hops": ("sampling", ("neighbour",)),
    "fanout": ("sampling", ("neighbour",)),
}
"""Arguments that mean something only where another one has one of these values."""


class Graph(Task):
    """A graph network of `depth` blocks between two linear maps, on one graph.

    Args:
        model: the body: gcn, gat, sgc, gcnii, appnp, dagnn or gprgnn.
        depth: blocks, >= 1 (for sgc, appnp, dagnn and gprgnn: propagations).
        width: hidden channels.
        dropout: probability in [0, 1), before every linear map, and of GAT's attention.
        lr: Adam's learning rate.
        weight_decay: L2 factor in Adam.
        convolution_decay: the same for the blocks between the linear maps; null: weight_decay.
        normalisation: symmetric (S) or row (P); not of gat.
        features: published (rows with sum 1 for word counts, otherwise raw), row or raw.
        patience: validations, one an epoch, without a better validation loss before stopping; 0 means never.
        heads: attention heads of gat; they share the width.
        alpha: share of the first block's input in every block of gcnii and appnp (gprgnn: at first), in [0, 1].
        lam: how slowly gcnii's linear maps tend to the identity, > 0.
        sampling: none (full batch), cluster or neighbour; evaluation always sees the whole graph.
        clusters: into how many runs of neighbouring nodes cluster sampling cuts the graph; a step takes global_batch.
        hops: how far neighbour sampling goes from each training node; a step takes global_batch nodes.
        fanout: neighbours that neighbour sampling draws of each node.
    """

    datasets = {
        "karate": Dataset("Zachary's karate club, 34 nodes, beside a stochastic block model", embedded=True),
        "cora": Dataset("Planetoid Cora, 2,708 papers, 7 classes", ("public", *_GEOM)),
        "citeseer": Dataset("Planetoid CiteSeer, 3,327 papers, 6 classes", ("public", *_GEOM)),
        "pubmed": Dataset("Planetoid PubMed, 19,717 papers, 3 classes", ("public", *_GEOM)),
        "cornell": Dataset("WebKB Cornell, 183 pages, 5 classes, heterophilous", _GEOM),
        "texas": Dataset("WebKB Texas, 183 pages, 5 classes, heterophilous", _GEOM),
        "wisconsin": Dataset("WebKB Wisconsin, 251 pages, 5 classes, heterophilous", _GEOM),
        "actor": Dataset("Actor co-occurrence, 7,600 nodes, 5 classes, heterophilous", _GEOM),
        "chameleon": Dataset("Wikipedia Chameleon, 2,277 pages, 5 classes, heterophilous", _GEOM),
        "squirrel": Dataset("Wikipedia Squirrel, 5,201 pages, 5 classes, heterophilous", _GEOM),
        "roman-empire": Dataset("Words of an article, 22,662 nodes, 18 classes, heterophilous", _TEN),
        "amazon-ratings": Dataset("Products by rating, 24,492 nodes, 5 classes, heterophilous", _TEN),
        "minesweeper": Dataset("A grid of 10,000 cells, mine or not; ROC-AUC", _TEN),
        "tolokers": Dataset("11,758 workers, banned or not; ROC-AUC", _TEN),
        "questions": Dataset("48,921 users, active or not; ROC-AUC", _TEN),
        "amazon-computers": Dataset("Amazon Computers, 13,752 products, 10 classes", _RANDOM),
        "amazon-photo": Dataset("Amazon Photo, 7,650 products, 8 classes", _RANDOM),
        "coauthor-cs": Dataset("Coauthor CS, 18,333 authors, 15 classes", _RANDOM),
        "coauthor-physics": Dataset("Coauthor Physics, 34,493 authors, 5 classes", _RANDOM),
        "ogbn-arxiv": Dataset("OGB arXiv, 169,343 papers, 40 classes; needs the package ogb", ("ogb",)),
        "ogbn-products": Dataset("OGB products, 2,449,029 nodes, 47 classes; needs the package ogb", ("ogb",)),
    }
    metrics: tuple[Metric, ...] = (_ACCURACY, _LOSS)
    selection = _LOSS
    label = ("model", "depth")
    steps = 200
    global_batch = 1
    evaluate_every = 1
    _graph: Any
    _sampler: Any

    def __init__(
        self,
        *,
        model: Literal["gcn", "gat", "sgc", "gcnii", "appnp", "dagnn", "gprgnn"] = "gcn",
        depth: int = 2,
        width: int = 64,
        dropout: float = 0.6,
        lr: float = 0.005,
        weight_decay: float = 5e-4,
        convolution_decay: float | None = None,
        normalisation: Literal["symmetric", "row"] = "symmetric",
        features: Literal["published", "row", "raw"] = "published",
        patience: int = 100,
        heads: int = 8,
        alpha: float = 0.1,
        lam: float = 0.5,
        sampling: Literal["none", "cluster", "neighbour"] = "none",
        clusters: int = 32,
        hops: int = 2,
        fanout: int = 10,
    ) -> None:
        self.arguments = {name: value for name, value in locals().items() if name not in ("self", "__class__")}
        _expect_sensible(self.arguments)
        self.patience = patience or None
        self.full_batch = sampling == "none"

    def load(self, data: str, split: str, root: Path | None, seed: int) -> str:
        from jobs.data import graphs, subgraphs  # PyTorch Geometric is slow to import; describing needs none of it

        given = self.arguments
        kind, scaling = given["normalisation"], given["features"]
        graph, digest = graphs.load(data, split, root, kind=kind, scaling=scaling)
        self.adopt(graph)
        if given["sampling"] == "cluster":
            self._sampler = subgraphs.Clusters(self._graph, given["clusters"])
        elif given["sampling"] == "neighbour":
            self._sampler = subgraphs.Neighbourhoods(self._graph, given["hops"], given["fanout"], seed)
        if self._sampler:
            self.evaluate_every = max(1, self.samples() // self.global_batch)
        if data in _BINARY:
            self.metrics = (_ROC_AUC, _ACCURACY, _LOSS)
        return digest

    def adopt(self, graph: Any) -> None:
        """Work on this `jobs.data.graphs.NodeGraph`, in full batches."""
        self._graph, self._sampler = graph, None

    def build(self, plug: Plug) -> nn.Module:
        from jobs.hosts.bodies import BODIES
        from jobs.hosts.gnn import NodeClassifier, Shape

        given = self.arguments
        shape = Shape(
            self._graph.features.shape[1],
            given["width"],
            self._graph.classes,
            given["depth"],
            given["heads"] if given["model"] == "gat" else 1,
            given["dropout"],
            given["alpha"],
            given["lam"],
        )
        return NodeClassifier(shape, BODIES[given["model"]], plug)

    def samples(self) -> int:
        return len(self._sampler) if self._sampler else 1

    def batch(self, draws: Sequence[Draw]) -> Any:
        return self._sampler.batch(draws) if self._sampler else None

    def loss(self, model: nn.Module, batch: Any) -> Tensor:
        graph = self._on(model) if batch is None else batch.to(next(model.parameters()).device).settled()
        logits, penalty = model(graph.features, graph.edges)
        train = graph.masks["train"].nonzero()[:, 0]  # a cluster may hold none: its loss is 0
        return cross_entropy(logits[train], graph.labels[train], reduction="sum") / max(1, len(train)) + penalty

    def optimizer(self, model: nn.Module) -> torch.optim.Optimizer:
        decay, inner = self.arguments["weight_decay"], self.arguments["convolution_decay"]
        blocks = list(model.convolutions.parameters())  # type: ignore[union-attr]  # nn.Module is untyped
        ends = [*model.enter.parameters(), *model.leave.parameters()]  # type: ignore[union-attr]
        groups = [
            {"params": blocks, "weight_decay": decay if inner is None else inner},
            {"params": ends, "weight_decay": decay},
        ]
        return torch.optim.Adam([group for group in groups if group["params"]], lr=self.arguments["lr"], fused=True)

    def evaluate(self, model: nn.Module, part: Literal["val", "test"], beat: Callable[[], None]) -> dict[str, float]:
        graph = self._on(model)
        logits, _ = model(graph.features, graph.edges)
        chosen = graph.masks[part].nonzero()[:, 0]
        logits, labels = logits[chosen].float(), graph.labels[chosen]
        beat()
        right = (logits.argmax(-1) == labels).float().mean()
        values = {"accuracy": 100 * right.item(), "loss": cross_entropy(logits, labels).item()}
        if _ROC_AUC in self.metrics:
            from jobs.metrics.ranking import roc_auc

            values["roc_auc"] = roc_auc(logits[:, 1] - logits[:, 0], labels == 1)
        return values

    def probe(self, model: nn.Module) -> None:
        graph = self._on(model)
        model(graph.features, graph.edges)

    def blocks(self, model: nn.Module) -> Mapping[str, Sequence[nn.Module]]:
        return {"body": list(model.convolutions)}  # type: ignore[arg-type]  # nn.Module's attributes are untyped

    def _on(self, model: nn.Module) -> Any:
        """The graph on the model's device."""
        device = next(model.parameters()).device
        if self._graph.labels.device != device:
            self._graph = self._graph.to(device).settled()
        return self._graph


def _expect_sensible(given: Mapping[str, Any]) -> None:
    """Raise ValueError for an argument out of its range, or one that would have no effect."""
    ranges = {
        "dropout": (0 <= given["dropout"] < 1, "in [0, 1)"),
        "alpha": (0 <= given["alpha"] <= 1, "in [0, 1]"),
        "lam": (given["lam"] > 0, "> 0"),
        **{name: (given[name] >= 1, ">= 1") for name in ("depth", "width", "heads", "clusters", "hops", "fanout")},
    }
    for name, (good, allowed) in ranges.items():
        if not good:
            raise ValueError(f"{name} must be {allowed}, got {given[name]}.")
    inner = given["convolution_decay"]
    if inner is not None and not (isinstance(inner, (int, float)) and inner >= 0):
        raise ValueError(f"convolution_decay must be null or a number >= 0, got {inner!r}.")
    defaults = Graph.__init__.__kwdefaults__ or {}
    for name, (switch, values) in _APPLIES.items():
        if given[switch] not in values and given[name] != defaults[name]:
            allowed = " or ".join(values)
            raise ValueError(f"{name} has no effect with {switch} {given[switch]}; leave it out, or use {allowed}.")
    if given["model"] == "gat" and given["width"] % given["heads"]:
        raise ValueError(f"width {given['width']} is not divisible by {given['heads']} heads.")
