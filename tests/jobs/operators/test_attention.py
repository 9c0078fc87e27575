"""Fused attention against the dense matrix: full, causal, padded."""

import pytest
import torch
from torch import Tensor

from jobs.errors import VariantError
from jobs.operators.attention import Attention

BATCH, HEADS, TOKENS, CHANNELS = 3, 2, 9, 4


def operands(seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    draws = torch.Generator().manual_seed(seed)
    shape = (3, BATCH, HEADS, TOKENS, CHANNELS)
    q, k, v = torch.randn(shape, dtype=torch.float64, generator=draws)
    return q.requires_grad_(), k.requires_grad_(), v.requires_grad_()


def padding() -> Tensor:
    """Right padding, left padding, and a sample that is all padding."""
    visible = torch.ones(BATCH, TOKENS, dtype=torch.bool)
    visible[0, 6:] = visible[1, :3] = visible[2, :] = False
    return visible


def averages(causal: bool, visible: Tensor | None) -> Tensor:
    """J as a matrix, by its definition."""
    allowed = torch.ones(BATCH, 1, TOKENS, TOKENS, dtype=torch.bool)
    allowed = allowed.tril() if causal else allowed
    allowed = allowed if visible is None else allowed & visible[:, None, None, :]
    return allowed.double() / allowed.sum(-1, keepdim=True).clamp(min=1)


CASES = [(causal, padded) for causal in (False, True) for padded in (False, True)]


@pytest.mark.parametrize(("causal", "padded"), CASES)
@pytest.mark.parametrize("product", ["call", "consensus", "deviation"])
def test_products_and_gradients_equal_the_dense_ones(product: str, causal: bool, padded: bool) -> None:
    q, k, v = operands()
    visible = padding() if padded else None
    a = Attention(q, k, x=v, memory={}, causal=causal, visible=visible)
    dense, mean = a.dense(), averages(causal, visible)
    fused, expected = {
        "call": (a(v), dense @ v),
        "consensus": (a.consensus(v), mean @ v),
        "deviation": (a.deviation(v), (dense - mean) @ v),
    }[product]
    torch.testing.assert_close(fused.expand_as(expected), expected, rtol=1e-10, atol=1e-12)
    weights = torch.randn_like(expected)
    wanted = torch.autograd.grad((expected * weights).sum(), (q, k, v), retain_graph=True, allow_unused=True)
    found = torch.autograd.grad((fused.expand_as(expected) * weights).sum(), (q, k, v), allow_unused=True)
    for left, right in zip(found, wanted, strict=True):
        zero = torch.zeros_like(v)
        torch.testing.assert_close(
            zero if left is None else left, zero if right is None else right, rtol=1e-8, atol=1e-10
        )


@pytest.mark.parametrize("causal", [False, True])
def test_a_row_that_sees_nothing_is_zero_and_passes_no_gradient(causal: bool) -> None:
    q, k, v = operands()
    a = Attention(q, k, x=v, memory={}, causal=causal, visible=padding())
    out = a(v)
    assert (out[2] == 0).all()
    for gradient in torch.autograd.grad(out.sum(), (q, k, v)):
        assert gradient.isfinite().all() and (gradient[2] == 0).all()


@pytest.mark.parametrize("causal", [False, True])
def test_padding_is_left_out_of_every_product(causal: bool) -> None:
    q, k, v = operands()
    visible = torch.ones(BATCH, TOKENS, dtype=torch.bool)
    visible[:, 6:] = False
    padded = Attention(q, k, x=v, memory={}, causal=causal, visible=visible)
    short = Attention(q[..., :6, :], k[..., :6, :], x=v, memory={}, causal=causal)
    for product in ("__call__", "consensus", "deviation", "mean"):
        whole, part = getattr(padded, product)(v), getattr(short, product)(v[..., :6, :])
        torch.testing.assert_close(whole[..., : part.shape[-2], :], part, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("tokens", [197, 2048])
def test_deviation_keeps_bfloat16_accuracy_on_values_far_from_zero(tokens: int, causal: bool) -> None:
    draws = torch.Generator().manual_seed(0)
    q, k, v = torch.randn(3, 1, 2, tokens, 64, generator=draws)
    v = (v + 5).bfloat16()
    q, k = q.bfloat16(), k.bfloat16()
    exact = Attention(q.double(), k.double(), x=v, memory={}, causal=causal).deviation(v.double())
    found = Attention(q, k, x=v, memory={}, causal=causal).deviation(v).double()
    error = (found - exact).norm() / exact.norm()
    assert error <= (0.03 if tokens == 197 else 0.08)


@pytest.mark.parametrize("product", ["__call__", "consensus", "deviation"])
def test_no_later_token_leaks_even_under_dropout(product: str) -> None:
    q, k, v = operands()
    changed = v.detach().clone()
    changed[..., -1, :] += 10
    outputs = []
    for values in (v, changed):
        a = Attention(q, k, x=v, memory={}, causal=True, dropout=0.3)
        torch.manual_seed(0)
        outputs.append(getattr(a, product)(values)[..., :-1, :])
    assert torch.equal(outputs[0], outputs[1])


def test_the_dense_matrix_has_to_be_declared() -> None:
    q, k, v = operands()
    a = Attention(q, k, x=v, memory={})
    a.needs = frozenset()
    with pytest.raises(VariantError, match="declare needs"):
        a.dense()


def test_no_square_matrix_is_made() -> None:
    """Peak memory of the fused operator must not hold one (N, N) float matrix."""
    tokens = 4096
    q, k, v = torch.randn(3, 1, 1, tokens, 8)
    visible = torch.ones(1, tokens, dtype=torch.bool)
    largest = Largest()
    with largest:
        for causal in (False, True):
            for shown in (None, visible):
                a = Attention(q, k, x=v, memory={}, causal=causal, visible=shown)
                a(v), a.consensus(v), a.deviation(v)
    assert largest.elements < tokens * tokens / 4


class Largest(torch.utils._python_dispatch.TorchDispatchMode):
    """The number of elements of the largest tensor that any operation returned."""

    def __init__(self) -> None:
        super().__init__()
        self.elements = 0

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        result = operation(*args, **(kwargs or {}))
        for tensor in result if isinstance(result, tuple | list) else (result,):
            if isinstance(tensor, Tensor):
                self.elements = max(self.elements, tensor.untyped_storage().nbytes() // tensor.element_size())
        return result


def test_there_are_no_edges_to_drop_or_to_ask_for() -> None:
    q = torch.zeros(1, 1, 3, 2)
    a = Attention(q, q, x=q, memory={})
    for ask in (lambda: a.drop_edges(0.5), a.linked):
        with pytest.raises(VariantError, match=r"layers that are not `layer\.graph`"):
            ask()
