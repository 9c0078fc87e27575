"""Node classification with a deep graph network: full batch, public splits, best validation loss tested."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from jobs.api import Dataset, Draw, Metric, Plug, Task

_PLANETOID = ("public", *(f"geom-gcn-{i}" for i in range(10)))
_TEN = tuple(f"geom-gcn-{i}" for i in range(10))


class Graph(Task):
    """A graph convolutional network of `depth` layers on one graph.

    Args:
        model: the body; gcn.
        depth: convolutions, >= 1.
        width: hidden channels.
        dropout: probability in [0, 1), before every linear map.
        lr: Adam's learning rate.
        weight_decay: L2 factor in Adam.
        normalisation: symmetric (S) or row (P).
        patience: epochs without a better validation loss before stopping; 0 means never.
    """

    datasets = {
        "karate": Dataset("Zachary's karate club, 34 nodes, beside a stochastic block model", embedded=True),
        "cora": Dataset("Planetoid Cora, 2,708 papers, 7 classes", _PLANETOID),
        "citeseer": Dataset("Planetoid CiteSeer, 3,327 papers, 6 classes", _PLANETOID),
        "actor": Dataset("Actor co-occurrence, 7,600 nodes, 5 classes, heterophilous", _TEN),
    }
    metrics = (Metric("accuracy", "%", "higher"), Metric("loss", "nat", "lower"))
    selection = Metric("loss", "nat", "lower")
    label = ("model", "depth")
    steps = 200
    global_batch = 1
    full_batch = True
    evaluate_every = 1

    def __init__(
        self,
        *,
        model: Literal["gcn"] = "gcn",
        depth: int = 2,
        width: int = 64,
        dropout: float = 0.6,
        lr: float = 0.005,
        weight_decay: float = 5e-4,
        normalisation: Literal["symmetric", "row"] = "symmetric",
        patience: int = 100,
    ) -> None:
        if depth < 1:
            raise ValueError(f"depth must be >= 1, got {depth}.")
        if not 0 <= dropout < 1:
            raise ValueError(f"dropout must be in [0, 1), got {dropout}.")
        self.depth, self.width, self.dropout = depth, width, dropout
        self.lr, self.weight_decay, self.normalisation = lr, weight_decay, normalisation
        self.patience = patience or None

    def load(self, data: str, split: str, root: Path | None, seed: int) -> str:
        from jobs.hosts import graphs  # PyTorch Geometric is slow to import; describing the task needs none of it

        self._graph, digest = graphs.load(data, split, root, self.normalisation)
        return digest

    def build(self, plug: Plug) -> nn.Module:
        from jobs.hosts.gcn import GCN, Shape

        shape = Shape(self._graph.features.shape[1], self.width, self._graph.classes, self.depth)
        return GCN(shape, plug, dropout=self.dropout)

    def samples(self) -> int:
        return 1

    def batch(self, draws: Sequence[Draw]) -> Any:
        return None

    def loss(self, model: nn.Module, batch: Any) -> Tensor:
        graph = self._on(model)
        logits, penalty = model(graph.features, graph.edges)
        train = graph.masks["train"]
        return cross_entropy(logits[train], graph.labels[train]) + penalty

    def optimizer(self, model: nn.Module) -> torch.optim.Optimizer:
        return torch.optim.Adam(model.parameters(), lr=self.lr, weight_decay=self.weight_decay)

    def evaluate(self, model: nn.Module, part: Literal["val", "test"], beat: Callable[[], None]) -> dict[str, float]:
        graph = self._on(model)
        logits, _ = model(graph.features, graph.edges)
        chosen = graph.masks[part]
        logits, labels = logits[chosen].float(), graph.labels[chosen]
        beat()
        right = (logits.argmax(-1) == labels).float().mean()
        return {"accuracy": 100 * right.item(), "loss": cross_entropy(logits, labels).item()}

    def probe(self, model: nn.Module) -> None:
        graph = self._on(model)
        model(graph.features, graph.edges)

    def blocks(self, model: nn.Module) -> Mapping[str, Sequence[nn.Module]]:
        return {"body": list(model.convolutions)}  # type: ignore[arg-type]  # nn.Module's attributes are untyped

    def _on(self, model: nn.Module) -> Any:
        """The graph on the model's device."""
        device = next(model.parameters()).device
        if self._graph.features.device != device:
            self._graph = self._graph.to(device)
        return self._graph
