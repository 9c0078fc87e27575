"""What `jobs.check` cannot see of the variant exclusive: values too small to be squared in single precision."""

import pytest
import torch

from jobs.api import Layer
from jobs.operators.attention import Attention
from jobs.variants.exclusive import Exclusive


@pytest.mark.parametrize("scale", [1e-13, 1e-19, 1e-25, 1e-35])
def test_values_that_vanish_lose_the_same_part_as_others(scale: float) -> None:
    """In a deep graph network they do: squared lengths gave NaN there, and a floor under the length the baseline."""
    draws = torch.Generator().manual_seed(0)
    q, k, v = torch.randn(3, 2, 1, 6, 4, generator=draws)
    v[0, 0, 2] = 0  # a token whose value is nothing
    variant, a = Exclusive(Layer(0, 1, 4, 1, False)), Attention(q, k, x=v, memory={})
    found = []
    for factor in (1.0, scale):
        values = (factor * v).requires_grad_()
        mixed = variant.mix(a, values) / factor
        found.append(
            (mixed, *torch.autograd.grad(mixed[v.abs().sum(-1) > 0].square().sum(), values, retain_graph=True))
        )
    (expected, slope), (mixed, small_slope) = found
    torch.testing.assert_close(mixed, expected, rtol=1e-4, atol=1e-5)
    assert small_slope.isfinite().all()
    torch.testing.assert_close(factor * small_slope, slope, rtol=1e-3, atol=1e-4)


def test_what_is_left_is_at_right_angles_to_the_tokens_own_value() -> None:
    draws = torch.Generator().manual_seed(0)
    q, k, v = 1e-25 * torch.randn(3, 2, 1, 6, 4, generator=draws)
    left = Exclusive(Layer(0, 1, 4, 1, False)).mix(Attention(q, k, x=v, memory={}), v)
    assert ((1e25 * left) * (1e25 * v)).sum(-1).abs().max() < 1e-5
