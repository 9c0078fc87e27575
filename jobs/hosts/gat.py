"""GAT: attention over edges as the smoothing operator, one row-stochastic matrix for each head.

    h <- elu(refine(concat_h mix(A_h, h W_h) + b)),        A_h from the edges' scores

Source: Veličković, Cucurull, Casanova, Romero, Liò, Bengio, "Graph Attention Networks", ICLR 2018; 8 heads of 8,
dropout 0.6 of inputs and of attention.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import elu

from jobs.api import Smoothing
from jobs.hosts.dropout import Dropout
from jobs.hosts.gnn import Block, affine
from jobs.operators.edge_attention import EdgeAttention
from jobs.operators.graph import Edges


class GAT(Block):
    """Dropout, linear map, attention over edges, bias, exponential linear unit."""

    def fill(self) -> None:
        width, heads = self.layer.width, self.layer.heads
        self.dropout = Dropout(self.shape.dropout)
        self.linear = affine(width, width, bias=False)
        self.source = nn.Parameter(torch.empty(heads, 1, width // heads))
        self.target = nn.Parameter(torch.empty(heads, 1, width // heads))
        self.bias = nn.Parameter(torch.zeros(width))
        for scores in (self.source, self.target):
            nn.init.xavier_uniform_(scores.data[:, 0])

    def thin(self, x: Tensor) -> Tensor:
        return self.dropout(x)

    def operands(self, x: Tensor, edges: Edges, memory: dict[str, Tensor]) -> tuple[Tensor, Smoothing]:
        v = self.linear(x[0]).unflatten(-1, (self.layer.heads, -1)).transpose(0, 1)
        scores = (v * self.source).sum(-1), (v * self.target).sum(-1)
        return v, EdgeAttention(edges, scores, x=x, memory=memory, thin=self.dropout)

    def project(self, mixed: Tensor, first: Tensor) -> Tensor:
        return mixed.transpose(0, 1).flatten(1)[None] + self.bias

    def activate(self, y: Tensor) -> Tensor:
        return elu(y)
