"""Metrics that need the smoothing operator, against dense matrices and cases worked by hand."""

import math

import pytest
import torch
from torch import Tensor

from jobs.check import sites, tiny
from jobs.metrics import smoothness
from jobs.operators.attention import Attention


def shown(tokens: int, channels: int = 4) -> Tensor:
    return torch.randn(2, 1, tokens, channels, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def test_the_energy_is_the_rayleigh_quotient_of_the_dense_matrices() -> None:
    site, x = sites.attention(causal=False), shown(5, 6)
    found = smoothness.energy(x, site.operator(x, {}), heads=2)
    quotients = []
    for b in range(2):
        a, parts = site.sample(b, 0).a, x[b, 0].unflatten(-1, (2, 3)).transpose(0, 1)
        quotients.append(sum(part.flatten() @ (part - m @ part).flatten() for part, m in zip(parts, a, strict=True)))
        quotients[-1] = quotients[-1] / x[b].square().sum()
    torch.testing.assert_close(found, torch.stack(quotients).mean().detach())


def test_the_energy_of_what_propagation_leaves_alone_is_zero() -> None:
    site = sites.propagation("symmetric")
    u = site.sample(0, 0).j @ torch.ones(5, 3, dtype=torch.float64)
    a = site.operator(u[None], {})
    assert smoothness.energy(u[None], a, heads=1).item() == pytest.approx(0, abs=1e-12)
    assert smoothness.energy(torch.randn(1, 5, 3, dtype=torch.float64), a, heads=1).item() > 0.1


def test_attention_that_sees_all_tokens_alike_has_the_entropy_of_their_number() -> None:
    q = torch.zeros(1, 2, 40, 3)
    found = smoothness.attention(Attention(q, q, x=q, memory={}))
    assert found == pytest.approx({"entropy": math.log(40), "first": 1 / 40}, rel=1e-5)


def test_attention_to_the_first_token_alone_has_no_entropy() -> None:
    q = torch.ones(1, 1, 20, 1)
    k = torch.zeros(1, 1, 20, 1)
    k[..., 0, :] = 100.0
    found = smoothness.attention(Attention(q, k, x=q, memory={}, causal=True))
    assert found == pytest.approx({"entropy": 0.0, "first": 1.0}, abs=1e-6)


def test_rows_of_attention_are_those_of_the_whole_matrix() -> None:
    for name in ("full attention", "causal attention", "padded attention", "padded causal attention"):
        site = sites.SITES[name]()
        a = site.operator(site.x[0], {})
        a.needs = frozenset({"dense"})
        assert isinstance(a, Attention)
        torch.testing.assert_close(a.rows(torch.tensor([3, 0])), a.dense()[..., [3, 0], :])


def test_tokens_without_a_mean_have_the_largest_ratio_that_is_told() -> None:
    assert smoothness.ratio(torch.tensor([[1.0, 0.0], [-1.0, 0.0]])).item() == pytest.approx(1e6)


@pytest.mark.parametrize(("host", "attends"), [("language", True), ("classification", True), ("graph", False)])
def test_both_sites_tell_the_energy_and_attention_alone_its_entropy(host: str, attends: bool) -> None:
    task = tiny.loaded(host)
    rows = smoothness.profile(task, tiny.built(task, "softmax"))
    assert {row["site"] for row in rows} == {"branch", "block"}
    assert all(math.isfinite(row["energy"]) for row in rows)
    assert [("entropy" in row, "first" in row) for row in rows] == [
        (attends and row["site"] == "branch",) * 2 for row in rows
    ]


@pytest.mark.parametrize("name", smoothness.METRICS)
@pytest.mark.parametrize("scale", [1e-30, 1e25])
def test_features_that_vanish_or_explode_are_measured_like_others(name: str, scale: float) -> None:
    """Squared, they would be 0 or infinite in single precision; only the norm may tell their size."""
    x = torch.randn(2, 9, 5, generator=torch.Generator().manual_seed(0)) + 0.5
    metric = smoothness.METRICS[name]
    expected = metric(x) * (scale if name == "norm" else 1)
    torch.testing.assert_close((metric(x * scale) / expected).float(), torch.ones(2), atol=1e-5, rtol=0)


def test_the_energy_of_features_that_vanish_is_that_of_others() -> None:
    x = shown(5, 6)
    a = sites.attention(causal=False).operator(x, {})
    expected = smoothness.energy(x, a, heads=2).item()
    assert smoothness.energy(1e-200 * x, a, heads=2).item() == pytest.approx(expected)
    assert smoothness.energy(0 * x, a, heads=2).item() == 0


def test_a_layer_of_zeros_is_told_as_one_whose_tokens_are_alike() -> None:
    found = smoothness.measure(torch.zeros(1, 5, 3))
    assert found == {"cosine": 1, "residual": 0, "ratio": 0, "rank": 0, "norm": 0}
