"""The plug-in against untouched fairseq and against the plain decoder."""

from tests.jobs.fairseq.inside.built import (  # isort: skip  # the shim first
    TOKENS,
    WORDS,
    batch,
    built,
    framework,
    language,
    logs,
    sample,
    trained_with,
    with_loss,
)

from typing import Any

import pytest
import torch
from torch import Tensor

from jobs import registry
from jobs.api import Layer, Variant
from jobs.data.text import PADDING
from jobs.errors import JobError, Skipped
from jobs.hosts.lm import LanguageModel, Shape
from tests.jobs import formula

SHAPES: dict[str, dict[str, Any]] = {
    "one softmax": {},
    "adaptive softmax": {"cutoffs": "24,48"},
    "norms first": {"normalize_before": True},
}


def costs(model: Any, source: Tensor, target: Tensor) -> Tensor:
    """-log p of each target, (B, N) [nat]."""
    return -logs(model, source).gather(-1, target[..., None])[..., 0]


def gradients(model: Any, criterion: Any) -> dict[str, Tensor]:
    """Of the mean cost of the batch's tokens, by fairseq's loss."""
    loss, size, _ = criterion(model, sample())
    (loss / size).backward()
    return {name: parameter.grad for name, parameter in model.named_parameters()}


def stirred(model: torch.nn.Module) -> torch.nn.Module:
    """Every variant away from its neutral point."""
    formula.fill(model)
    return model


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_softmax_through_our_seam_is_untouched_fairseq(shape: dict[str, Any]) -> None:
    ours, criterion = with_loss(language(**shape))
    theirs, own = with_loss(language(**shape), untouched=True)
    assert type(theirs).__name__ == "TransformerLanguageModel"
    assert list(ours.state_dict()) == list(theirs.state_dict())
    _expect_the_same(ours, theirs)
    torch.testing.assert_close(logs(ours, batch()[0]), logs(theirs, batch()[0]), rtol=1e-5, atol=1e-5)
    found, wanted = gradients(ours, criterion), gradients(theirs, own)
    for name, value in wanted.items():
        torch.testing.assert_close(found[name], value, rtol=1e-4, atol=1e-6, msg=name)


@pytest.mark.parametrize("variant", registry.variant_names())
def test_the_weights_that_are_not_the_variants_are_the_same_for_all(variant: str) -> None:
    free = "q_proj" if registry.variant(variant).begin is not Variant.begin else "none"  # it sets the queries itself
    added = _expect_the_same(_built_or_skipped(variant), built(language()), free=free)
    assert all(".variant." in name for name in added)


@pytest.mark.parametrize("variant", registry.variant_names())
def test_every_variant_costs_what_it_costs_in_the_plain_decoder(variant: str) -> None:
    ours = stirred(_built_or_skipped(variant))
    shape = Shape(vocabulary=WORDS, context=TOKENS, depth=3, width=32, heads=4, ffn=48)
    plain = LanguageModel(shape, registry.plug(registry.variant(variant), variant, {}, 0)).eval()
    plain.load_state_dict(ours.state_dict())
    ours.eval()
    with torch.no_grad():
        expected, _ = plain(*batch())
        torch.testing.assert_close(costs(ours, *batch()), expected, rtol=1e-5, atol=1e-5)


def _expect_the_same(model: Any, expected: Any, *, free: str = "none") -> set[str]:
    """Compare the parameters of `expected` but the `free` ones; the names that `model` has beyond them.

    Not the buffers: fairseq leaves its placeholders uninitialised.
    """
    found = dict(model.named_parameters())
    for name, parameter in expected.named_parameters():
        assert torch.equal(found.pop(name), parameter) or free in name, name
    return set(found)


def _built_or_skipped(variant: str) -> Any:
    try:
        return built(language(), variant)
    except Skipped as reason:
        pytest.skip(str(reason))


def test_nothing_is_left_between_two_forward_passes() -> None:
    model = stirred(built(language(), "neutreno")).eval()
    source, target = batch()
    with torch.no_grad():
        alone = costs(model, source, target)
        costs(model, source.flip(1)[:, :7], target[:, :7])
        assert torch.equal(costs(model, source, target), alone)


def test_recomputed_layers_give_the_same_gradients() -> None:
    stored, criterion = with_loss(language(), "neutreno")
    recomputed = built(language(checkpointing=True), "neutreno")
    calls: list[int] = []
    recomputed.decoder.layers[1].fc1.register_forward_hook(lambda *_: calls.append(1))
    expected, found = gradients(stirred(stored), criterion), gradients(stirred(recomputed), criterion)
    assert len(calls) == 2
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, msg=name)


@pytest.mark.parametrize("variant", ["softmax", "centered", "featscale"])
def test_padding_at_the_end_changes_no_other_token(variant: str) -> None:
    model = stirred(built(language(), variant)).eval()
    source, target = batch()
    padded = source.clone()
    padded[1, 12:] = PADDING
    with torch.no_grad():
        found, short = costs(model, padded, target), costs(model, source[1:, :12], target[1:, :12])
        torch.testing.assert_close(found[1, :12], short[0], rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(found[0], costs(model, source, target)[0], rtol=1e-5, atol=1e-5)


def test_one_token_at_a_time_is_refused() -> None:
    with pytest.raises(JobError, match="incremental decoding"):
        built(language()).eval()(batch()[0], incremental_state={})


def test_an_option_that_changes_the_layers_is_refused() -> None:
    cfg = trained_with(language())
    cfg.model.decoder_layerdrop = 0.5
    with pytest.raises(JobError, match="--decoder-layerdrop is not supported together with variants"):
        framework(cfg).build_model(cfg.model)


class Spy(Variant):
    """Writes down every hook, doubles what norms receive, and asks for a penalty."""

    keeps = ("first",)
    seen: list[tuple[int, str]] = []

    def enter(self, x: Tensor) -> Tensor:
        self.seen.append((self.layer.index, "enter"))
        return 2 * x

    def mix(self, a: Any, v: Tensor) -> Tensor:
        self.seen.append((self.layer.index, "mix"))
        assert a.memory.setdefault("first", torch.tensor(float(self.layer.index))) == 0.0
        assert (a.x.shape, v.shape) == ((2, 1, TOKENS, 32), (2, 4, TOKENS, 8))
        return a(v)

    def refine(self, y: Tensor, a: Any) -> Tensor:
        self.seen.append((self.layer.index, "refine"))
        return y

    def penalty(self, x: Tensor) -> Tensor:
        self.seen.append((self.layer.index, "penalty"))
        assert x.shape == (2, 1, TOKENS, 32)
        return x.new_tensor(10.0**self.layer.index)


@pytest.mark.parametrize("normalize_before", [False, True])
def test_every_hook_is_called_once_per_layer_and_in_order(normalize_before: bool, monkeypatch: Any) -> None:
    monkeypatch.setattr(registry, "variant", lambda name: Spy)
    model = built(language(normalize_before=normalize_before))
    assert [layer.variant.layer for layer in model.decoder.layers] == [
        Layer(i, 3, 32, 4, causal=True) for i in range(3)
    ]
    Spy.seen = []
    _, extra = model(batch()[0])
    assert extra["penalty"] == 111.0
    attention = ["enter", "mix", "refine", "enter"] if normalize_before else ["mix", "refine", "enter", "enter"]
    expected = [(layer, hook) for layer in range(3) for hook in [*attention, "penalty"]]
    assert Spy.seen == expected + ([(2, "enter")] if normalize_before else [])


@pytest.mark.parametrize("shape", [{}, {"cutoffs": "24,48"}], ids=["one softmax", "adaptive softmax"])
def test_the_penalty_is_in_the_training_loss_and_not_in_the_evaluated_one(
    shape: dict[str, Any], monkeypatch: Any
) -> None:
    plain, criterion = with_loss(language(**shape))
    monkeypatch.setattr(registry, "variant", lambda name: Fined)
    model = built(language(**shape))
    (without, size, _), (loss, _, log) = criterion(plain, sample()), criterion(model, sample())
    assert size == 2 * TOKENS
    torch.testing.assert_close(loss / size, without / size + 3 * 0.5)
    assert log["loss"] == loss
    model.eval()
    torch.testing.assert_close(criterion(model, sample())[0], without)


class Fined(Variant):
    def penalty(self, x: Tensor) -> Tensor:
        return x.new_tensor(0.5)
