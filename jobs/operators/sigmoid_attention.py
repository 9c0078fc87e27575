"""Sigmoid attention as a smoothing operator: every weight stands for itself, rows need not sum to 1.

    A_ij = sigmoid(scale q_i . k_j - log n_i)        n_i = how many tokens query i sees

No fused kernel has this form. Queries are taken in chunks whose weights are recomputed in the backward pass, so that
no N x N matrix is stored; J stays the mean.
"""

import torch
from torch import Tensor
from torch.nn.functional import dropout
from torch.utils.checkpoint import checkpoint

from jobs.operators.attention import Attention

CHUNK = 512
"""Queries at a time."""


class SigmoidAttention(Attention):
    """A = sigmoid(scale q k^T - log n) on (..., H, N, D) values; arguments as for `Attention`."""

    @classmethod
    def of(cls, a: Attention) -> "SigmoidAttention":
        """The same queries, keys and masks."""
        return cls(
            a.q, a.k, x=a.x, memory=a.memory, causal=a.causal, visible=a.visible, scale=a.scale, dropout=a.dropout
        )

    def __call__(self, v: Tensor) -> Tensor:
        queries = torch.arange(v.shape[-2], device=v.device)
        if len(queries) <= CHUNK:
            return self._part(v, queries)
        return torch.cat([checkpoint(self._part, v, part, use_reentrant=False) for part in queries.split(CHUNK)], -2)

    def deviation(self, v: Tensor) -> Tensor:
        """(A - J) v, as a difference: A 1 is not 1, so nothing may be taken out of v before."""
        return self(v) - self.consensus(v)

    def rows(self, queries: Tensor) -> Tensor:
        """The rows of A, without dropout, for the tokens `queries` (R,): (B, H, R, N)."""
        wide, seen = torch.promote_types(self.q.dtype, torch.float32), self.seen(queries)
        logits = (self.q[..., queries, :] @ self.k.mT).to(wide) * self.scale
        count = seen.sum(-1, keepdim=True).clamp(min=1).to(wide)
        return torch.sigmoid(logits - count.log()).masked_fill(~seen, 0.0)

    def _part(self, v: Tensor, queries: Tensor) -> Tensor:
        """A v for some of the queries."""
        return dropout(self.rows(queries), self.dropout, training=self.dropout > 0).to(v.dtype) @ v
