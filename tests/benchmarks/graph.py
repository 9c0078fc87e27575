"""A deep graph network's epoch beside PyTorch Geometric's own layers: `python -m tests.benchmarks.graph [DEPTH ...]`.

An epoch is what training does: a step (forward, backward, Adam), then the validation loss and accuracy. The graph has
Cora's size: 2,708 nodes, 5,278 edges, 1,433 word counts of which 1.3 % are not zero, row-normalised; hidden width 64,
dropout 0.6. The stock network is written as PyTorch Geometric's examples are: cached `GCNConv`, dropout, ReLU; it has
one linear map less than ours, whose body of constant width stands between two.
Goal: ours at least twice as fast at depth 32.
"""

import itertools
import sys
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch_geometric.nn import GCNConv
from torch_geometric.utils import coalesce, to_undirected

from jobs import registry
from jobs.data import graphs
from jobs.tasks.graph import Graph
from jobs.training.run import plug
from tests.benchmarks.measure import ratio, table, turns
from tests.jobs.tiny import spec

NODES, EDGES, WORDS, CLASSES, WIDTH, DROPOUT = 2708, 5278, 1433, 7, 64, 0.6
DEPTHS = (2, 8, 32, 64)
ROUNDS = 15
Epoch = Callable[[], None]


class Stock(nn.Module):
    """`depth` cached GCNConv layers."""

    def __init__(self, depth: int) -> None:
        super().__init__()
        sizes = [WORDS, *[WIDTH] * (depth - 1), CLASSES]
        self.layers = nn.ModuleList(GCNConv(a, b, cached=True) for a, b in itertools.pairwise(sizes))

    def forward(self, x: Tensor, index: Tensor) -> Tensor:
        for layer in self.layers[:-1]:
            x = functional.dropout(x, DROPOUT, training=self.training)
            x = layer(x, index).relu()
        return self.layers[-1](functional.dropout(x, DROPOUT, training=self.training), index)


def cora_sized() -> tuple[Tensor, Tensor, Tensor, dict[str, Tensor]]:
    """Features, labels, edges and masks; communities by label, so that edges are as local as a real graph's."""
    draws = torch.Generator().manual_seed(0)
    labels = torch.arange(NODES) * CLASSES // NODES
    near = torch.randint(NODES, (EDGES,), generator=draws)
    far = (near + torch.randint(1, 120, (EDGES,), generator=draws)) % NODES
    shuffled = torch.randperm(NODES, generator=draws)
    index = coalesce(to_undirected(shuffled[torch.stack([near, far])]))
    counts = (torch.rand(NODES, WORDS, generator=draws) < 0.0127).float()
    masks = {"train": torch.arange(NODES) % 20 == 0, "val": torch.arange(NODES) % 5 == 1}
    return counts / counts.sum(1, keepdim=True).clamp(min=1), labels[shuffled.argsort()], index, masks


def stock(depth: int) -> Epoch:
    x, labels, index, masks = cora_sized()
    model = Stock(depth)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.005, weight_decay=5e-4)

    def epoch() -> None:
        model.train()
        optimizer.zero_grad()
        loss = functional.cross_entropy(model(x, index)[masks["train"]], labels[masks["train"]])
        loss.backward()
        optimizer.step()
        float(loss.detach())
        model.eval()
        with torch.no_grad():
            logits, truth = model(x, index)[masks["val"]], labels[masks["val"]]
            functional.cross_entropy(logits, truth).item()
            (logits.argmax(-1) == truth).float().mean().item()

    return epoch


def ours(depth: int, variant: str = "softmax") -> Epoch:
    x, labels, index, masks = cora_sized()
    task = Graph(depth=depth, width=WIDTH, dropout=DROPOUT)
    task.adopt(graphs.arranged(x, labels, index, masks))
    model = task.build(plug(spec("graph", variant), registry.variant(variant)))
    optimizer = task.optimizer(model)

    def epoch() -> None:
        model.train()
        optimizer.zero_grad(set_to_none=True)
        loss = task.loss(model, None)
        loss.backward()
        optimizer.step()
        float(loss.detach())
        model.eval()
        with torch.no_grad():
            task.evaluate(model, "val", lambda: None)

    return epoch


def main(depths: tuple[int, ...] = DEPTHS, rounds: int = ROUNDS) -> None:
    before = torch.get_num_threads()
    for threads in (1, 2):
        torch.set_num_threads(threads)
        rows = []
        for depth in depths:
            candidates = {"stock": stock(depth), "ours": ours(depth), "neutreno": ours(depth, "neutreno")}
            seconds = turns(candidates, rounds=rounds)
            times = (f"{1000 * min(seconds[name]):.0f}" for name in candidates)
            ratios = (f"{ratio(seconds, 'stock', name):.1f}" for name in ("ours", "neutreno"))
            rows.append((depth, *times, *ratios))
        header = ("depth", "stock, ms", "ours, ms", "neutreno, ms", "stock / ours", "stock / neutreno")
        print(table("A graph network's epoch, Cora's size, width 64, float32", header, rows), flush=True)
    torch.set_num_threads(before)


if __name__ == "__main__":
    main(tuple(map(int, sys.argv[1:])) or DEPTHS)
