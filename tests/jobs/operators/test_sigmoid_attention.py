"""Chunks of queries give what all of them give at once, and rows are those of the formula."""

import pytest
import torch

from jobs.check import sites
from jobs.operators import sigmoid_attention
from jobs.operators.attention import Attention
from jobs.operators.sigmoid_attention import SigmoidAttention

MASKS = ("full attention", "causal attention", "padded attention", "padded causal attention")


def operator(site: sites.Site) -> SigmoidAttention:
    a = site.operator(site.x[0], {})
    assert isinstance(a, Attention)
    return SigmoidAttention.of(a)


@pytest.mark.parametrize("name", MASKS)
def test_chunks_give_the_value_and_gradient_of_the_whole(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    site = sites.SITES[name]()
    found = []
    for chunk in (512, 2):
        monkeypatch.setattr(sigmoid_attention, "CHUNK", chunk)
        value = operator(site)(site.values[0])
        found.append([value, *torch.autograd.grad(value.square().sum(), site.inputs, materialize_grads=True)])
    for whole, chunked in zip(*found, strict=True):
        torch.testing.assert_close(chunked, whole)


@pytest.mark.parametrize("name", MASKS)
def test_the_rows_times_the_values_are_what_a_call_gives(name: str) -> None:
    site = sites.SITES[name]()
    a = operator(site)
    rows = a.rows(torch.tensor([4, 1]))
    torch.testing.assert_close(rows @ site.values[0], a(site.values[0])[..., [4, 1], :])
    assert not torch.allclose(rows.sum(-1), torch.ones_like(rows.sum(-1)))
