"""SGC: `depth` propagations without parameters between two linear maps.

    h <- mix(A, h),        logits = A^depth X W_in W_out + b

Source: Wu, Souza, Zhang, Fifty, Yu, Weinberger, "Simplifying Graph Convolutional Networks", ICML 2019; its one matrix
W is W_in W_out here, so that every layer has the width at which variants and metrics are compared.
"""

from torch import Tensor

from jobs.api import Smoothing
from jobs.hosts.gnn import Block
from jobs.operators.graph import Edges, Propagation


class SGC(Block):
    """Smoothing alone."""

    linear_entrance = True

    def operands(self, x: Tensor, edges: Edges, memory: dict[str, Tensor]) -> tuple[Tensor, Smoothing]:
        return x, Propagation(edges, x=x, memory=memory)
