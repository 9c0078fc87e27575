"""Each body with the baseline against PyTorch Geometric's own layers with the same weights, forward and backward."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import elu
from torch_geometric.nn import APPNP, GATConv, GCN2Conv, GCNConv, SGConv

from jobs.api import Variant
from jobs.hosts.bodies import BODIES
from jobs.hosts.gnn import NodeClassifier, Shape
from jobs.operators.graph import Edges
from jobs.operators.sparse import from_dense

NODES, DEPTH = 9, 3
SHAPE = Shape(features=5, width=8, classes=3, depth=DEPTH, heads=2, alpha=0.2, lam=0.7)
PAIRS = [(0, 1), (1, 2), (2, 0), (2, 3), (4, 5), (5, 6), (6, 7)]
INDEX = torch.tensor(PAIRS + [(b, a) for a, b in PAIRS]).T


def features() -> Tensor:
    return torch.randn(NODES, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def network(body: str) -> NodeClassifier:
    """The body in float64, every parameter (biases too) away from where it starts."""
    torch.manual_seed(0)
    heads = SHAPE.heads if body == "gat" else 1
    shape = Shape(5, 8, 3, DEPTH, heads, 0.0, SHAPE.alpha, SHAPE.lam)
    model = NodeClassifier(shape, BODIES[body], Variant).double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.3 * torch.randn_like(parameter)
    return model


def gcn(model: NodeClassifier, x: Tensor) -> Tensor:
    x = model.enter(x).relu()
    for block in model.convolutions:
        layer = GCNConv(8, 8).double()
        layer.lin.weight, layer.bias = block.linear.weight, block.bias
        x = layer(x, INDEX).relu()
    return model.leave(x)


def gat(model: NodeClassifier, x: Tensor) -> Tensor:
    x = model.enter(x).relu()
    for block in model.convolutions:
        layer = GATConv(8, 4, heads=2).double()
        layer.lin.weight, layer.bias = block.linear.weight, block.bias
        layer.att_src, layer.att_dst = (nn.Parameter(p.data.transpose(0, 1)) for p in (block.source, block.target))
        x = elu(layer(x, INDEX))
    return model.leave(x)


def sgc(model: NodeClassifier, x: Tensor) -> Tensor:
    layer = SGConv(5, 3, K=DEPTH).double()
    layer.lin.weight = nn.Parameter(model.leave.weight.data @ model.enter.weight.data)
    layer.lin.bias = model.leave.bias
    return layer(x, INDEX)


def gcnii(model: NodeClassifier, x: Tensor) -> Tensor:
    x = first = model.enter(x).relu()
    for number, block in enumerate(model.convolutions, start=1):
        layer = GCN2Conv(8, alpha=SHAPE.alpha, theta=SHAPE.lam, layer=number).double()
        layer.weight1 = nn.Parameter(block.linear.weight.data.T)
        x = layer(x, first, INDEX).relu()
    return model.leave(x)


def appnp(model: NodeClassifier, x: Tensor) -> Tensor:
    return model.leave(APPNP(K=DEPTH, alpha=SHAPE.alpha)(model.enter(x).relu(), INDEX))


def hops(x: Tensor) -> list[Tensor]:
    """x and what 1, 2, ... DEPTH propagations make of it."""
    states = [x]
    for _ in range(DEPTH):
        states.append(APPNP(K=1, alpha=0.0)(states[-1], INDEX))
    return states


def dagnn(model: NodeClassifier, x: Tensor) -> Tensor:
    stacked = torch.stack(hops(model.enter(x).relu()), 1)
    return model.leave((model.read.score(stacked).sigmoid().mT @ stacked).squeeze(1))


def gprgnn(model: NodeClassifier, x: Tensor) -> Tensor:
    return model.leave(torch.einsum("k,knc->nc", model.read.gamma, torch.stack(hops(model.enter(x).relu()))))


THEIRS = {
    "gcn": gcn, "gat": gat, "sgc": sgc, "gcnii": gcnii, "appnp": appnp, "dagnn": dagnn, "gprgnn": gprgnn,
}  # fmt: skip


def test_every_body_has_a_counterpart_here() -> None:
    assert sorted(THEIRS) == sorted(BODIES)


@pytest.mark.parametrize("body", sorted(BODIES))
def test_the_baseline_is_the_stock_network(body: str) -> None:
    model, x = network(body), features().requires_grad_()
    found, penalty = model(x, Edges(INDEX, NODES, dtype=torch.float64))
    expected = THEIRS[body](model, x)
    weights = torch.linspace(-1, 2, found.numel(), dtype=torch.float64).view_as(found)
    torch.testing.assert_close(found, expected)
    ours, theirs = (torch.autograd.grad((y * weights).sum(), x)[0] for y in (found, expected))
    torch.testing.assert_close(ours, theirs)
    assert penalty == 0


def test_a_generalised_page_rank_starts_from_personalised_page_rank() -> None:
    """Before training, GPRGNN is APPNP, whose teleport gives its first state the weights of all hops' rest."""
    torch.manual_seed(0)
    ours = NodeClassifier(SHAPE, BODIES["gprgnn"], Variant).double()
    theirs = NodeClassifier(SHAPE, BODIES["appnp"], Variant).double()
    theirs.load_state_dict({name: value for name, value in ours.state_dict().items() if "gamma" not in name})
    edges = Edges(INDEX, NODES, dtype=torch.float64)
    torch.testing.assert_close(ours(features(), edges)[0], theirs(features(), edges)[0])


@pytest.mark.parametrize("body", sorted(BODIES))
def test_sparse_features_give_what_dense_ones_do(body: str) -> None:
    model, x = network(body), features() * (features() > 0)
    edges = Edges(INDEX, NODES, dtype=torch.float64)
    torch.testing.assert_close(model(from_dense(x), edges), model(x, edges))


def test_sparse_features_are_dropped_entry_by_entry() -> None:
    """With p near 1 nearly every entry is gone; in evaluation none is."""
    model = NodeClassifier(Shape(5, 8, 3, 1, dropout=0.999), BODIES["sgc"], Variant)
    x = from_dense(torch.ones(NODES, 5))
    torch.manual_seed(0)
    thinned = model.train()._lift(x)
    assert (thinned == 0).all(1).sum() >= NODES - 2
    torch.testing.assert_close(model.eval()._lift(x), model.enter(torch.ones(NODES, 5)))
