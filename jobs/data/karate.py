"""The embedded graph: karate club beside a stochastic block model, no files needed.

Source: Zachary, "An Information Flow Model for Conflict and Fission in Small Groups", 1977.
"""

import torch
from torch_geometric.data import Data
from torch_geometric.datasets import KarateClub
from torch_geometric.utils import stochastic_blockmodel_graph

from jobs.data.splits import rank_in_class
from jobs.randomness import derive

_BLOCKS, _PER_BLOCK, _NEAR, _FAR = 4, 60, 0.10, 0.01
"""The block model: four communities of 60 nodes, edge probability inside and across."""


def karate() -> Data:
    """Karate club and a block model of the same four classes, as one graph of 274 nodes in two components.

    Features: a noisy code of each node's class, 16 wide, so that a network has to use the edges. A quarter of each
    class trains, a quarter validates, the rest tests.
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
    rank, size = rank_in_class(labels, draws)
    share = rank / size
    data.train_mask, data.val_mask, data.test_mask = share < 0.25, (share >= 0.25) & (share < 0.5), share >= 0.5
    return data
