import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, layer_norm, linear

from jobs import registry
from jobs.api import Layer, Smoothing, Variant
from jobs.check import leak
from jobs.hosts.lm import LanguageModel, Shape, sinusoids
from tests.jobs import formula

MODELS: dict[str, Any] = json.loads((Path(__file__).parents[2] / "golden/fairseq_decoder.json").read_text())["models"]
WORDS, TOKENS = 96, 20


def shape(**changes: Any) -> Shape:
    fields: dict[str, Any] = {"vocabulary": WORDS, "context": TOKENS, "depth": 3, "width": 32, "heads": 4, "ffn": 48}
    return Shape(**fields | changes)


def model(variant: type[Variant] = Variant, **changes: Any) -> LanguageModel:
    """A decoder with weights by formula."""
    built = LanguageModel(shape(**changes), variant).eval()
    formula.fill(built)
    return built


def batch() -> tuple[Tensor, Tensor]:
    stream = formula.words(2 * TOKENS + 1, WORDS)
    return stream[:-1].view(2, TOKENS), stream[1:].view(2, TOKENS)


@pytest.mark.parametrize("name", MODELS)
def test_names_shapes_and_their_order_are_fairseqs(name: str) -> None:
    golden = MODELS[name]
    built = model(cutoffs=tuple(golden["cutoffs"]), normalize_before=golden["normalize_before"])
    found = {key: list(value.shape) for key, value in built.state_dict().items()}
    assert found == golden["shapes"]
    assert list(found) == list(golden["shapes"])


@pytest.mark.parametrize("name", MODELS)
def test_every_token_costs_what_it_costs_in_fairseq(name: str) -> None:
    golden = MODELS[name]
    built = model(cutoffs=tuple(golden["cutoffs"]), normalize_before=golden["normalize_before"])
    with torch.no_grad():
        costs, _ = built(*batch())
    torch.testing.assert_close(costs.flatten(), torch.tensor(golden["costs"]), rtol=1e-5, atol=2e-6)


def test_parameters_of_a_variant_lie_beneath_its_attention() -> None:
    plain = model().state_dict()
    scaled = model(registry.variant("attnscale")).state_dict()
    assert sorted(set(scaled) - set(plain)) == [f"decoder.layers.{i}.self_attn.variant.w" for i in range(3)]


def attention(weights: dict[str, Tensor], x: Tensor) -> Tensor:
    """Head by head and row by row, (N, C) in and out."""
    q, k, v = (linear(x, weights[f"{name}_proj.weight"], weights[f"{name}_proj.bias"]) for name in "qkv")
    heads = []
    for part in torch.arange(32).chunk(4):
        rows = [(q[i, part] @ k[: i + 1, part].T / math.sqrt(8)).softmax(-1) @ v[: i + 1, part] for i in range(len(x))]
        heads.append(torch.stack(rows))
    return linear(torch.cat(heads, -1), weights["out_proj.weight"], weights["out_proj.bias"])


def reference(state: dict[str, Tensor], words: Tensor) -> Tensor:
    """Logits (N, words) of one sequence, as a dumb loop over the post-norm decoder."""
    table = state["decoder.embed_tokens.weight"]
    x = table[words] * math.sqrt(32) + sinusoids(len(words), 32)
    for n in range(3):
        prefix = f"decoder.layers.{n}."
        layer = {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
        own = {key.removeprefix("self_attn."): value for key, value in layer.items()}
        x = x + attention(own, x)
        x = layer_norm(x, (32,), layer["self_attn_layer_norm.weight"], layer["self_attn_layer_norm.bias"])
        hidden = linear(x, layer["fc1.weight"], layer["fc1.bias"]).clamp(min=0)
        x = x + linear(hidden, layer["fc2.weight"], layer["fc2.bias"])
        x = layer_norm(x, (32,), layer["final_layer_norm.weight"], layer["final_layer_norm.bias"])
    return x @ table.T


def test_softmax_through_the_seam_equals_a_dense_loop_in_values_and_gradients() -> None:
    built = model().double()
    source, target = batch()
    costs, _ = built(source, target)
    names = [name for name, _ in built.named_parameters()]
    state = {name: parameter.detach().clone().requires_grad_() for name, parameter in built.named_parameters()}
    expected = torch.stack(
        [
            cross_entropy(reference(state, words), wanted, reduction="none")
            for words, wanted in zip(source, target, strict=True)
        ]
    )
    torch.testing.assert_close(costs, expected, rtol=1e-5, atol=1e-6)
    found = torch.autograd.grad(costs.mean(), list(built.parameters()))
    wanted_gradients = torch.autograd.grad(expected.mean(), [state[name] for name in names])
    for one, other in zip(found, wanted_gradients, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)


class Doubled(Variant):
    """Doubles what each norm receives."""

    def enter(self, x: Tensor) -> Tensor:
        assert x.shape[-3:] == (1, TOKENS, 32)
        return x * torch.arange(1, 33)


@pytest.mark.parametrize("normalize_before", [False, True])
def test_every_norm_receives_what_enter_returns(normalize_before: bool) -> None:
    plain, changed = model(normalize_before=normalize_before), model(Doubled, normalize_before=normalize_before)
    for module in plain.modules():
        if isinstance(module, nn.LayerNorm):
            module.register_forward_pre_hook(lambda _, inputs: (inputs[0] * torch.arange(1, 33),))
    with torch.no_grad():
        torch.testing.assert_close(changed(*batch())[0], plain(*batch())[0])


def stack(variant: type[Variant], **options: Any) -> leak.Function:
    """The decoder's layers as a function of hidden states (B, 1, N, C), in float64."""
    torch.manual_seed(0)
    layers = LanguageModel(shape(**options), variant).double().eval().decoder.layers
    with torch.no_grad():
        for name, parameter in layers.named_parameters():
            if ".variant." in name:
                parameter.add_(torch.rand_like(parameter))  # away from the neutral point
    return lambda x: layers(x)[0]


CAUSAL = [name for name in registry.variant_names() if not registry.variant(name).skip(Layer(0, 3, 32, 4, causal=True))]


def hidden() -> Tensor:
    return torch.randn(2, 1, 9, 32, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("normalize_before", [False, True])
@pytest.mark.parametrize("variant", CAUSAL)
def test_no_variant_lets_a_token_see_the_future(variant: str, normalize_before: bool) -> None:
    function = stack(registry.variant(variant), normalize_before=normalize_before)
    assert leak.future_gradient(function, hidden()) < 1e-12
    assert leak.future_effect(function, hidden()) < 1e-10


class FullMean(Variant):
    """Centred by the mean over the whole sequence instead of `a.consensus`: it leaks."""

    def mix(self, a: Smoothing, v: Tensor) -> Tensor:
        return a(v) - v.mean(-2, keepdim=True)


class DetachedMean(Variant):
    """The same leak, hidden from the gradient."""

    def mix(self, a: Smoothing, v: Tensor) -> Tensor:
        return a(v) - v.detach().mean(-2, keepdim=True)


def test_the_mean_over_the_whole_sequence_is_caught_as_a_leak() -> None:
    assert leak.future_gradient(stack(FullMean), hidden()) > 1e-3
    assert leak.future_effect(stack(FullMean), hidden()) > 1e-3


def test_a_leak_hidden_from_the_gradient_is_caught_by_its_effect() -> None:
    assert leak.future_effect(stack(DetachedMean), hidden()) > 1e-3


def test_sequences_longer_than_the_context_are_refused() -> None:
    words = torch.full((1, TOKENS + 1), 5)
    with pytest.raises(ValueError, match="A sequence of 21 tokens exceeds the model's context of 20"):
        model()(words, words)


@pytest.mark.parametrize("bands", ["falling", "equal"])
def test_adaptive_probabilities_add_up_to_one_and_agree_with_the_costs(bands: str) -> None:
    built = model(cutoffs=(24, 48), bands=bands)
    source, target = batch()
    with torch.no_grad():
        x, _ = built.decoder(source)
        logs = built.decoder.log_probabilities(x)
        costs, _ = built(source, target)
    torch.testing.assert_close(logs.exp().sum(-1), torch.ones(2, TOKENS))
    torch.testing.assert_close(-logs.gather(-1, target[..., None])[..., 0], costs)


def test_equal_bands_are_slices_of_one_table() -> None:
    built = model(cutoffs=(24, 48), bands="equal")
    own = dict(built.decoder.adaptive_softmax.named_parameters())
    x = torch.randn(5, 32)
    logits = x @ built.decoder.embed_tokens.weight.T + own["bias"]
    bands = x @ own["band_weight"].T + own["band_bias"]
    head = torch.cat([logits[:, :24], bands], -1).log_softmax(-1)
    tails = [head[:, 24 + i, None] + logits[:, low : low + size].log_softmax(-1) for i, low, size in BANDS]
    found = built.decoder.log_probabilities(x)
    torch.testing.assert_close(found, torch.cat([head[:, :24], *tails], -1), rtol=1e-5, atol=1e-5)


BANDS = [(0, 24, 24), (1, 48, WORDS - 48)]
"""Number, first word and size of the bands behind the cutoffs (24, 48)."""


@pytest.mark.parametrize("bands", ["falling", "equal"])
def test_bands_without_a_target_still_receive_gradients(bands: str) -> None:
    built = model(cutoffs=(24, 48), bands=bands)
    words = torch.full((2, TOKENS), 5)
    built(words, words)[0].mean().backward()
    assert [name for name, parameter in built.named_parameters() if parameter.grad is None] == []


@pytest.mark.parametrize("option", ["dropout", "attention_dropout", "activation_dropout"])
def test_each_dropout_acts_in_training_only(option: str) -> None:
    built = model(**{option: 0.3})
    quiet = built(*batch())[0]
    torch.testing.assert_close(quiet, model()(*batch())[0])
    built.train()
    assert not torch.allclose(built(*batch())[0], quiet)


def test_layers_know_their_place() -> None:
    seen: list[Layer] = []

    def plug(layer: Layer) -> Variant:
        seen.append(layer)
        return Variant(layer)

    LanguageModel(shape(), plug)
    assert seen == [Layer(i, 3, 32, 4, causal=True) for i in range(3)]
