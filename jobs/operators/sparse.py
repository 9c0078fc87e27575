"""Products with a constant sparse matrix, differentiable in what it is multiplied with.

Eager code goes through an autograd function that keeps the matrix ready made; a compiler sees one opaque operator
instead, since it cannot trace sparse tensors. Both run the same kernel. Half precision is summed in float32.
"""

import dataclasses
import functools
import warnings
from typing import Any

import torch
from torch import Tensor
from torch.utils.flop_counter import register_flop_formula

Rows = tuple[Tensor, Tensor, Tensor]
"""Compressed sparse rows: row starts (R + 1,), columns (E,), both int32, and weights (E,)."""

with warnings.catch_warnings():  # torch announces once per process that CSR is in beta; hear it here
    warnings.simplefilter("ignore")
    torch.sparse_csr_tensor(torch.tensor([0, 0]), torch.tensor([], dtype=torch.long), torch.tensor([]), (1, 1))


@dataclasses.dataclass(frozen=True)
class SparseMatrix:
    """An (R, K) matrix beside its transpose, both in compressed rows.

    Args:
        forward: the matrix.
        backward: its transpose, for the gradient.
        order: (E,), which weight of `forward` each weight of `backward` is.
    """

    forward: Rows
    backward: Rows
    order: Tensor

    @property
    def shape(self) -> tuple[int, int]:
        """R and K."""
        return len(self.forward[0]) - 1, len(self.backward[0]) - 1

    @property
    def weights(self) -> Tensor:
        """(E,), row by row."""
        return self.forward[2]

    def __matmul__(self, v: Tensor) -> Tensor:
        """The product with v (K, C): (R, C), in v's precision."""
        if torch.compiler.is_compiling():
            return _product(v, *self.forward, *self.backward)
        return _Product.apply(v, self)

    def with_weights(self, weights: Tensor) -> "SparseMatrix":
        """The same entries with other weights (E,)."""
        forward, backward = self.forward[:2], self.backward[:2]
        return SparseMatrix((*forward, weights), (*backward, weights[self.order]), self.order)

    def select(self, rows: Tensor) -> "SparseMatrix":
        """The given rows (M,), in that order: (M, K)."""
        which, places = entries(self.forward[0], rows)
        columns, weights = self.forward[1][places].long(), self.weights[places]
        return compress(which, columns, weights, (len(rows), self.shape[1]))

    def to(self, device: torch.device) -> "SparseMatrix":
        forward, backward = (tuple(part.to(device) for part in rows) for rows in (self.forward, self.backward))
        return SparseMatrix(forward, backward, self.order.to(device))  # type: ignore[arg-type]  # still three

    def dense(self) -> Tensor:
        """The matrix itself, (R, K)."""
        return _ready(self.forward, self.shape, self.weights.dtype).to_dense()

    @functools.cached_property
    def ready(self) -> tuple[Tensor, Tensor]:
        """The matrix and its transpose as torch's sparse tensors, at least in float32."""
        wide = torch.promote_types(self.weights.dtype, torch.float32)
        rows, columns = self.shape
        return _ready(self.forward, (rows, columns), wide), _ready(self.backward, (columns, rows), wide)


Features = Tensor | SparseMatrix
"""The features of nodes, (N, F), dense or sparse."""


def compress(rows: Tensor, columns: Tensor, weights: Tensor, shape: tuple[int, int]) -> SparseMatrix:
    """The matrix with `weights` (E,) at (`rows`, `columns`), each place at most once."""
    first = torch.argsort(rows * shape[1] + columns)
    rows, columns, weights = rows[first], columns[first], weights[first]
    order = torch.argsort(columns * shape[0] + rows)
    forward = _starts(rows, shape[0]), columns.int(), weights
    backward = _starts(columns, shape[1]), rows[order].int(), weights[order]
    return SparseMatrix(forward, backward, order)


def entries(starts: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
    """Every entry of the given rows (M,) of compressed rows: which of the M it belongs to, and its place."""
    begins = starts.long()[rows]
    counts = starts.long()[rows + 1] - begins
    which = torch.arange(len(rows), device=rows.device).repeat_interleave(counts)
    within = torch.arange(len(which), device=rows.device) - (counts.cumsum(0) - counts)[which]
    return which, begins[which] + within


def from_dense(matrix: Tensor) -> SparseMatrix:
    """The entries of `matrix` (R, K) that are not zero."""
    rows, columns = matrix.nonzero(as_tuple=True)
    return compress(rows, columns, matrix[rows, columns], (matrix.shape[0], matrix.shape[1]))


def _starts(sorted_rows: Tensor, count: int) -> Tensor:
    starts = torch.zeros(count + 1, dtype=torch.int32, device=sorted_rows.device)
    starts[1:] = torch.bincount(sorted_rows, minlength=count).cumsum(0)
    return starts


def _ready(rows: Rows, shape: tuple[int, int], dtype: torch.dtype) -> Tensor:
    starts, columns, weights = rows
    return torch.sparse_csr_tensor(starts, columns, weights.to(dtype), shape, check_invariants=False)


def _multiply(matrix: Tensor, v: Tensor) -> Tensor:
    """The kernel: v in matrix's precision, the product in v's."""
    with torch.autocast(v.device.type, enabled=False):  # which would cast the matrix, and knows no sparse kernel for it
        product: Tensor = torch.ops.unsmooth.compressed_mm(matrix, v.to(matrix.dtype))
    return product.to(v.dtype)


_LIBRARY = torch.library.Library("unsmooth", "FRAGMENT")
_LIBRARY.define("compressed_mm(Tensor matrix, Tensor v) -> Tensor")
_LIBRARY.impl("compressed_mm", torch.sparse.mm, "CompositeExplicitAutograd")


@register_flop_formula(torch.ops.unsmooth.compressed_mm, get_raw=True)
def _operations(matrix: Tensor, v: Tensor, **_: Any) -> int:
    """Two for each stored entry and channel; torch would count the matrix as if it were dense."""
    return 2 * len(matrix.values()) * v.shape[1]


class _Product(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, v: Tensor, matrix: SparseMatrix) -> Tensor:
        ctx.matrix = matrix
        forward = matrix.ready[0]
        return _multiply(forward.to(torch.promote_types(v.dtype, forward.dtype)), v.contiguous())

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        backward = ctx.matrix.ready[1]
        return _multiply(backward.to(torch.promote_types(gradient.dtype, backward.dtype)), gradient.contiguous()), None


@torch.library.custom_op("unsmooth::sparse_product", mutates_args=())
def _product(v: Tensor, a0: Tensor, a1: Tensor, a2: Tensor, t0: Tensor, t1: Tensor, t2: Tensor) -> Tensor:
    """A v for A = (a0, a1, a2) in compressed rows; (t0, t1, t2) is its transpose."""
    wide = torch.promote_types(torch.promote_types(v.dtype, a2.dtype), torch.float32)
    return _multiply(_ready((a0, a1, a2), (len(a0) - 1, len(t0) - 1), wide), v.contiguous())


@_product.register_fake
def _(v: Tensor, a0: Tensor, a1: Tensor, a2: Tensor, t0: Tensor, t1: Tensor, t2: Tensor) -> Tensor:
    return v.new_empty(a0.shape[0] - 1, v.shape[1])


def _remember(ctx: Any, inputs: Any, output: Any) -> None:
    ctx.save_for_backward(*inputs[1:])


def _transpose(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None, None, None, None]:
    a0, a1, a2, t0, t1, t2 = ctx.saved_tensors  # read once: checkpointing hands them out once
    return _product(gradient, t0, t1, t2, a0, a1, a2), None, None, None, None, None, None


_product.register_autograd(_transpose, setup_context=_remember)
