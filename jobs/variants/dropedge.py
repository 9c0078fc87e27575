"""DropEdge: every forward pass in training sees the graph without a random share of its edges.

    O_l = A'_l V_l        A': A after each directed edge is dropped with probability p, normalised anew

Source: Rong, Huang, Xu, Huang, "DropEdge: Towards Deep Graph Convolutional Networks on Node Classification", ICLR 2020;
edges are drawn in each layer. p = 0.2 is that of Chen et al., "Bag of Tricks for Training Deeper Graph Neural
Networks", TPAMI 2022.
"""

from jobs.api import Layer, Smoothing, Variant


class DropEdge(Variant):
    """Fewer edges while training; `p` in [0, 1) is the probability with which one is dropped."""

    neutral = {"p": 0.0}

    def __init__(self, layer: Layer, *, p: float = 0.2) -> None:
        super().__init__(layer)
        if not 0 <= p < 1:
            raise ValueError(f"dropedge: p must be in [0, 1), got {p}.")
        self.p = p

    @classmethod
    def skip(cls, layer: Layer) -> str | None:
        return None if layer.graph else "It drops edges of a graph; attention between all tokens has none."

    def operator(self, a: Smoothing) -> Smoothing:
        """A without the dropped edges; in evaluation A."""
        return a.drop_edges(self.p) if self.training and self.p > 0 else a
