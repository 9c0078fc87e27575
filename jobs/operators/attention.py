"""Softmax attention as a smoothing operator: full, causal and padded, fused, no N x N matrix.

    A = softmax(scale q k^T)        J v = mean of v over visible tokens (the running mean if causal)

The causal deviation is A (v - c) - C (v - c) with C the running mean and c the first visible token's value, detached:
(A - C) c = 0 for any c, so the value and the gradient are exact while the large common part never enters the
kernel, where bfloat16 would lose it. No later token enters, so nothing leaks when dropout breaks A's row sums.
"""

import torch
from torch import Tensor
from torch.nn.functional import pad, scaled_dot_product_attention

from jobs.errors import VariantError, expect_declared

_HIDDEN = 100.0
"""In an extra channel q gets _HIDDEN and a hidden k -_HIDDEN / scale: a logit of -10,000, exactly 0 after softmax."""
_EXTRA = 8
"""Extra channels, a multiple of what fused kernels ask head sizes to be."""


def _wide(v: Tensor) -> Tensor:
    return v.to(torch.promote_types(v.dtype, torch.float32))


class Attention:
    """A = softmax(scale q k^T) over (..., H, N, D) queries and keys; see `jobs.api.Smoothing`.

    Args:
        q, k: (B, H, N, D) queries and keys.
        x: (B, 1, N, C), the layer's input.
        memory: what earlier layers kept in this forward pass.
        causal: token i sees tokens 0..i only.
        visible: (B, N) bool, False where a token is padding; None if all are visible.
        scale: factor of the logits; None means D ** -0.5.
        dropout: probability with which an entry of A is dropped (global random stream).
    """

    needs: frozenset[str] = frozenset({"dense"})

    def __init__(
        self,
        q: Tensor,
        k: Tensor,
        *,
        x: Tensor,
        memory: dict[str, Tensor],
        causal: bool = False,
        visible: Tensor | None = None,
        scale: float | None = None,
        dropout: float = 0.0,
    ) -> None:
        self.q, self.k, self.x, self.memory = q, k, x, memory
        self.causal, self.visible, self.dropout = causal, visible, dropout
        self.scale = q.shape[-1] ** -0.5 if scale is None else scale

    def __call__(self, v: Tensor) -> Tensor:
        if self.visible is None:
            return self._fused(self.q, self.k, v, None)
        seen = self._count()[:, None] > 0
        if self.causal:
            u = self._fused(*self._with_hidden_channel(v), None)[..., : v.shape[-1]]
        else:
            u = self._fused(self.q, self.k, v, (self.visible[:, None, None, :] | ~seen))
        return u.masked_fill(~seen, 0.0)

    def mean(self, v: Tensor) -> Tensor:
        return self._mean(_wide(v)).to(v.dtype)

    def consensus(self, v: Tensor) -> Tensor:
        return self.mean(v)

    def deviation(self, v: Tensor) -> Tensor:
        wide = _wide(v)
        if not self.causal:
            return self((wide - self._mean(wide)).to(v.dtype))
        rest = wide - self._first(wide.detach())
        return self(rest.to(v.dtype)) - self._mean(rest).to(v.dtype)

    def dense(self) -> Tensor:
        """A without dropout, (B, H, N, N)."""
        expect_declared(self.needs)
        return self.rows(torch.arange(self.q.shape[-2], device=self.q.device))

    def rows(self, queries: Tensor) -> Tensor:
        """The rows of A, without dropout, for the tokens `queries` (R,): (B, H, R, N)."""
        logits = self.q[..., queries, :] @ self.k.mT * self.scale
        seen = self.seen(queries)
        weights = logits.masked_fill(~seen, -torch.inf).softmax(-1)
        return weights.masked_fill(~seen.any(-1, keepdim=True), 0.0)

    def seen(self, queries: Tensor) -> Tensor:
        """Which tokens each of `queries` (R,) may see: (1 or B, 1, R, N)."""
        tokens = torch.arange(self.k.shape[-2], device=self.k.device)
        order = tokens <= queries[:, None] if self.causal else (tokens >= 0).expand(len(queries), -1)
        return order[None, None] if self.visible is None else order & self.visible[:, None, None, :]

    def drop_edges(self, p: float) -> "Attention":
        raise VariantError("Attention between all tokens has no edges to drop; skip layers that are not `layer.graph`.")

    def linked(self) -> Tensor:
        raise VariantError("Attention between all tokens has no edges; skip layers that are not `layer.graph`.")

    def _fused(self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> Tensor:
        if (more := v.shape[-1] - q.shape[-1]) > 0:  # kernels that form no N x N matrix want one head size
            q, k = pad(q, (0, more)), pad(k, (0, more))
        return scaled_dot_product_attention(
            q, k, v, attn_mask=mask, dropout_p=self.dropout, is_causal=self.causal, scale=self.scale
        )

    def _with_hidden_channel(self, v: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """q, k, v with channels that hide padded keys: the fused causal kernel takes no mask of its own."""
        assert self.visible is not None
        q = pad(pad(self.q, (0, 1), value=_HIDDEN), (0, _EXTRA - 1))
        hide = (~self.visible).to(self.k.dtype)[:, None, :, None] * (-_HIDDEN / self.scale)
        k = pad(torch.cat([self.k, hide.expand(*self.k.shape[:-1], 1)], -1), (0, _EXTRA - 1))
        return q, k, pad(v, (0, _EXTRA))

    def _count(self) -> Tensor:
        """Visible tokens that each query sees: (B, 1, 1) or, if causal, (B, N, 1)."""
        assert self.visible is not None
        return self.visible.cumsum(-1)[..., None] if self.causal else self.visible.sum(-1)[:, None, None]

    def _first(self, wide: Tensor) -> Tensor:
        """The first visible token's entry, (..., H, 1, D)."""
        if self.visible is None:
            return wide[..., :1, :]
        place = self.visible.int().argmax(-1)[:, None, None, None]
        return wide.take_along_dim(place, -2)

    def _total(self, wide: Tensor) -> Tensor:
        """Mean over all visible tokens whatever the mask, (..., H, 1, D)."""
        if self.visible is None:
            return wide.mean(-2, keepdim=True)
        shown = self.visible[:, None, :, None]
        return (wide * shown).sum(-2, keepdim=True) / shown.sum(-2, keepdim=True).clamp(min=1)

    def _mean(self, wide: Tensor) -> Tensor:
        if not self.causal:
            return self._total(wide)
        if self.visible is None:
            return wide.cumsum(-2) / torch.arange(1, wide.shape[-2] + 1, device=wide.device, dtype=wide.dtype)[:, None]
        return (wide * self.visible[:, None, :, None]).cumsum(-2) / self._count()[:, None].clamp(min=1)
