"""Sparse products against dense ones."""

import pytest
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from jobs.operators.sparse import SparseMatrix, from_dense


def dense() -> Tensor:
    """(5, 4), a row and a column of it empty."""
    draws = torch.Generator().manual_seed(0)
    matrix = torch.randn(5, 4, dtype=torch.float64, generator=draws)
    kept = torch.rand(5, 4, generator=draws) < 0.5
    kept[2], kept[:, 1] = False, False
    return matrix * kept


def values() -> Tensor:
    return torch.randn(4, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1)).requires_grad_()


def compiled(matrix: SparseMatrix, v: Tensor) -> Tensor:
    torch._dynamo.reset()
    product: Tensor = torch.compile(lambda v: matrix @ v, backend="aot_eager", fullgraph=True)(v)
    return product


@pytest.mark.parametrize("multiply", [SparseMatrix.__matmul__, compiled], ids=["eager", "compiled"])
def test_the_product_and_its_gradient_are_the_dense_ones(multiply) -> None:  # type: ignore[no-untyped-def]
    matrix, v = dense(), values()
    found, expected = multiply(from_dense(matrix), v), matrix @ v
    weights = torch.linspace(-1, 2, found.numel()).view_as(found)
    torch.testing.assert_close(found, expected)
    gradients = (torch.autograd.grad((y * weights).sum(), v)[0] for y in (found, expected))
    torch.testing.assert_close(*gradients)


def test_other_weights_reach_the_gradient_too() -> None:
    sparse, v = from_dense(dense()), values()
    changed = sparse.with_weights(sparse.weights * torch.arange(1, len(sparse.weights) + 1))
    (gradient,) = torch.autograd.grad((changed @ v).sum(), v)
    torch.testing.assert_close(changed @ v, changed.dense() @ v)
    torch.testing.assert_close(gradient, changed.dense().sum(0)[:, None].expand(4, 3))
    assert not torch.equal(changed.dense(), sparse.dense())


def test_rows_can_be_selected_in_any_order_and_twice() -> None:
    rows = torch.tensor([4, 0, 2, 0])
    torch.testing.assert_close(from_dense(dense()).select(rows).dense(), dense()[rows])


def test_half_precision_is_summed_in_single() -> None:
    """A hundred ones and a half: bfloat16 sums would stop short of it."""
    matrix = from_dense(torch.ones(1, 1000))
    v = torch.full((1000, 1), 1.0, dtype=torch.bfloat16)
    found = matrix @ v
    assert found.dtype == torch.bfloat16
    assert found.item() == 1000


def test_operations_are_counted_by_stored_entries() -> None:
    matrix, v = from_dense(dense()), values()
    with FlopCounterMode(display=False) as counter:
        (matrix @ v).sum().backward()
    assert counter.get_total_flops() == 2 * 2 * len(matrix.weights) * 3
