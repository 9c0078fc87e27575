"""The fast draws of dropout: their distribution, their scale, and where their randomness comes from."""

import pytest
import torch

from jobs.hosts.dropout import Dropout, factors


@pytest.mark.parametrize("p", [0.1, 0.6, 0.95])
def test_values_are_dropped_with_probability_p_and_the_mean_is_kept(p: float) -> None:
    torch.manual_seed(0)
    count = 200_001
    found = factors(count, p)
    sigma = (p * (1 - p) / count) ** 0.5
    assert found.shape == (count,)
    assert abs((found == 0).double().mean().item() - p) < 4 * sigma
    assert abs(found.double().mean().item() - 1) < 4 * sigma / (1 - p)
    assert found.unique().tolist() == pytest.approx([0, 1 / (1 - p)], rel=1e-3)


def test_neighbouring_values_are_dropped_independently() -> None:
    """The four values that share a number included."""
    torch.manual_seed(0)
    kept = (factors(400_000, 0.5) > 0).double().view(-1, 4)
    correlations = torch.corrcoef(kept.T).fill_diagonal_(0)
    assert correlations.abs().max() < 4 / 100_000**0.5
    assert torch.corrcoef(torch.stack([kept[:-1, 3], kept[1:, 0]]))[0, 1].abs() < 4 / 100_000**0.5


def test_the_gradient_passes_where_the_value_did() -> None:
    torch.manual_seed(0)
    x = torch.ones(3, 50, requires_grad=True)
    y = Dropout(0.5)(x)
    y.sum().backward()
    assert x.grad is not None
    assert torch.equal(x.grad, y.detach())
    assert 0 < (y == 0).sum() < 150


def test_draws_follow_the_global_stream() -> None:
    torch.manual_seed(3)
    state = torch.get_rng_state()
    first = Dropout(0.5)(torch.ones(100))
    second = Dropout(0.5)(torch.ones(100))
    torch.set_rng_state(state)
    assert torch.equal(Dropout(0.5)(torch.ones(100)), first)
    assert not torch.equal(first, second)


def test_evaluation_drops_nothing_and_draws_nothing() -> None:
    state, x = torch.get_rng_state(), torch.randn(5)
    torch.set_rng_state(state)
    assert torch.equal(Dropout(0.5).eval()(x), x)
    assert torch.equal(torch.get_rng_state(), state)
