"""Sigmoid attention as a smoothing operator: every weight stands for itself, rows need not sum to 1.

    A_ij = sigmoid(scale q_i . k_j - log n_i)        n_i = how many tokens query i sees

No fused kernel has this form. Queries are taken in chunks whose weights are recomputed in the backward pass, so that
no N x N matrix is stored; J stays the mean.
"""

import torch
from torch import Tensor
from torch.nn.functional import dropout
from torch.utils.checkpoint import checkpoint

from jobs.errors import expect_declared
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
        tokens = v.shape[-2]
        if tokens <= CHUNK:
            return self._rows(v, 0, tokens)
        starts = range(0, tokens, CHUNK)
        parts = [checkpoint(self._rows, v, i, min(i + CHUNK, tokens), use_reentrant=False) for i in starts]
        return torch.cat(parts, -2)

    def deviation(self, v: Tensor) -> Tensor:
        """(A - J) v, as a difference: A 1 is not 1, so nothing may be taken out of v before."""
        return self(v) - self.consensus(v)

    def dense(self) -> Tensor:
        """A without dropout, (B, H, N, N)."""
        expect_declared(self.needs)
        return self._weights(0, self.q.shape[-2])

    def _rows(self, v: Tensor, start: int, end: int) -> Tensor:
        """A v for queries `start` to `end`."""
        weights = self._weights(start, end)
        return dropout(weights, self.dropout, training=self.dropout > 0).to(v.dtype) @ v

    def _weights(self, start: int, end: int) -> Tensor:
        wide = torch.promote_types(self.q.dtype, torch.float32)
        logits = (self.q[..., start:end, :] @ self.k.mT).to(wide) * self.scale
        seen = self._seen(start, end)
        count = seen.sum(-1, keepdim=True).clamp(min=1).to(wide)
        return torch.sigmoid(logits - count.log()).masked_fill(~seen, 0.0)

    def _seen(self, start: int, end: int) -> Tensor:
        """Whether a query may see a key, (1 or B, 1, queries, N)."""
        tokens, device = self.q.shape[-2], self.q.device
        seen = torch.ones(1, 1, end - start, tokens, dtype=torch.bool, device=device)
        if self.causal:
            seen = seen & (torch.arange(tokens, device=device) <= torch.arange(start, end, device=device)[:, None])
        return seen if self.visible is None else seen & self.visible[:, None, None, :]
