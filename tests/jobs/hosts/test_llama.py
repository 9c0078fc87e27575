"""The modern decoder against a loop over tokens, heads and channels, and what it owes its variants."""

import cmath
import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from jobs import registry
from jobs.api import Layer, Smoothing, Variant
from jobs.check import leak
from jobs.hosts import llama
from jobs.hosts.words import LanguageModel
from tests.jobs import formula

WORDS, TOKENS, DEPTH, WIDTH, HEADS = 40, 9, 2, 16, 4


def shape(**changes: Any) -> llama.Shape:
    sizes = {"vocabulary": WORDS, "context": TOKENS, "depth": DEPTH, "width": WIDTH, "heads": HEADS, "ffn": 24}
    return llama.Shape(**{**sizes, "kv_heads": 2, **changes})


def model(variant: type[Variant] = Variant, **changes: Any) -> LanguageModel:
    """A decoder with weights by formula, in float64."""
    built = llama.model(shape(**changes), variant).double().eval()
    formula.fill(built)
    return built


def batch() -> tuple[Tensor, Tensor]:
    stream = formula.words(2 * TOKENS + 1, WORDS)
    return stream[:-1].view(2, TOKENS), stream[1:].view(2, TOKENS)


def rms(x: Tensor, weight: Tensor) -> Tensor:
    return torch.stack([weight * row / (sum(entry**2 for entry in row) / len(row) + 1e-6).sqrt() for row in x])


def turned(x: Tensor) -> Tensor:
    """Channels (c, c + D / 2) of token n as a complex number, turned by n 10000^(-2 c / D)."""
    half = x.shape[1] // 2
    rows = []
    for n, row in enumerate(x):
        turns = [cmath.exp(1j * n * 10_000 ** (-2 * c / (2 * half))) for c in range(half)]
        points = [torch.complex(row[c], row[c + half]) * turns[c] for c in range(half)]
        rows.append(torch.stack([point.real for point in points] + [point.imag for point in points]))
    return torch.stack(rows)


def attention(weights: dict[str, Tensor], x: Tensor, kv_heads: int) -> Tensor:
    """Head by head and row by row, (N, C) in and out; query heads h share head h // (H / G) of keys and values."""
    channels, heads = WIDTH // HEADS, []
    q, k, v = (x @ weights[f"self_attn.{name}_proj.weight"].T for name in "qkv")
    for h in range(HEADS):
        own, shared = slice(h * channels, (h + 1) * channels), h // (HEADS // kv_heads)
        common = slice(shared * channels, (shared + 1) * channels)
        q_h, k_h, v_h = turned(q[:, own]), turned(k[:, common]), v[:, common]
        logits = [q_h[i] @ k_h[: i + 1].T / math.sqrt(channels) for i in range(len(x))]
        heads.append(torch.stack([row.softmax(-1) @ v_h[: i + 1] for i, row in enumerate(logits)]))
    return torch.cat(heads, -1) @ weights["self_attn.o_proj.weight"].T


def reference(state: dict[str, Tensor], words: Tensor, kv_heads: int) -> Tensor:
    """Logits (N, words) of one sequence."""
    x = state["decoder.embed_tokens.weight"][words]
    for n in range(DEPTH):
        prefix = f"decoder.layers.{n}."
        own = {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
        x = x + attention(own, rms(x, own["input_layernorm.weight"]), kv_heads)
        h = rms(x, own["post_attention_layernorm.weight"])
        gate = h @ own["mlp.gate_proj.weight"].T
        x = x + (gate / (1 + torch.exp(-gate)) * (h @ own["mlp.up_proj.weight"].T)) @ own["mlp.down_proj.weight"].T
    return rms(x, state["decoder.norm.weight"]) @ state["decoder.embed_tokens.weight"].T


@pytest.mark.parametrize("kv_heads", [1, 2, 4])
def test_softmax_through_the_seam_equals_a_loop_in_values_and_gradients(kv_heads: int) -> None:
    built = model(kv_heads=kv_heads)
    source, target = batch()
    costs, penalty = built(source, target)
    state = {name: parameter.detach().clone().requires_grad_() for name, parameter in built.named_parameters()}
    expected = torch.stack(
        [
            cross_entropy(reference(state, words, kv_heads), wanted, reduction="none")
            for words, wanted in zip(source, target, strict=True)
        ]
    )
    assert penalty == 0
    torch.testing.assert_close(costs, expected, rtol=1e-9, atol=1e-10)
    found = torch.autograd.grad(costs.mean(), list(built.parameters()))
    for one, other in zip(found, torch.autograd.grad(expected.mean(), list(state.values())), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-8, atol=1e-10)


def test_there_is_no_bias_and_one_word_table() -> None:
    names = [name for name, _ in model().named_parameters()]
    assert [name for name in names if "bias" in name] == []
    assert [name for name in names if "embed" in name or "output" in name] == ["decoder.embed_tokens.weight"]


def test_sharing_one_head_of_keys_and_values_copies_nothing() -> None:
    attention_ = model(kv_heads=1).decoder.layers[0].self_attn  # type: ignore[union-attr, index]
    x = torch.randn(2, 1, TOKENS, 4)
    assert attention_._repeat(x).data_ptr() == x.data_ptr()


class Doubled(Variant):
    """Weighs the channels that each norm receives."""

    def enter(self, x: Tensor) -> Tensor:
        assert x.shape[-3:] == (1, TOKENS, WIDTH)
        return x * torch.arange(1, WIDTH + 1)


def test_every_norm_receives_what_enter_returns() -> None:
    plain, changed = model(), model(Doubled)
    norms = [module for module in plain.modules() if isinstance(module, llama.RMSNorm)]
    assert len(norms) == 2 * DEPTH + 1
    for norm in norms:
        norm.register_forward_pre_hook(lambda _, inputs: (inputs[0] * torch.arange(1, WIDTH + 1),))
    with torch.no_grad():
        torch.testing.assert_close(changed(*batch())[0], plain(*batch())[0])


def stack(variant: type[Variant]) -> leak.Function:
    """The decoder's layers as a function of hidden states (B, 1, N, C), in float64, away from the neutral point."""
    torch.manual_seed(0)
    layers: nn.Module = llama.model(shape(), variant).double().eval().decoder.layers  # type: ignore[assignment]
    with torch.no_grad():
        for name, parameter in layers.named_parameters():
            parameter.add_(torch.rand_like(parameter) if ".variant." in name else 0.2 * torch.randn_like(parameter))
    by = llama.turns(TOKENS, WIDTH // HEADS, torch.zeros(1, dtype=torch.float64))
    return lambda x: layers(x, by)[0]


CAUSAL = [name for name in registry.variant_names() if not registry.variant(name).skip(Layer(0, 3, 32, 4, causal=True))]


def hidden() -> Tensor:
    return torch.randn(2, 1, TOKENS, WIDTH, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("variant", CAUSAL)
def test_no_variant_lets_a_token_see_the_future(variant: str) -> None:
    function = stack(registry.variant(variant))
    assert leak.future_gradient(function, hidden()) < 1e-12
    assert leak.future_effect(function, hidden()) < 1e-10


class FullMean(Variant):
    """Centred by the mean over the whole sequence: it leaks."""

    def mix(self, a: Smoothing, v: Tensor) -> Tensor:
        return a(v) - v.mean(-2, keepdim=True)


def test_the_mean_over_the_whole_sequence_is_caught_as_a_leak() -> None:
    assert leak.future_gradient(stack(FullMean), hidden()) > 1e-3
    assert leak.future_effect(stack(FullMean), hidden()) > 1e-3


def test_rotary_logits_depend_on_the_distance_alone() -> None:
    q, k = torch.randn(2, 1, 4, dtype=torch.float64)
    by = llama.turns(300, 4, q)
    logits = llama.rotate(q.expand(300, 4), by) @ llama.rotate(k.expand(300, 4), by).T
    torch.testing.assert_close(logits[200:, 200:], logits[:100, :100])
    assert (logits[1:, 0] - logits[0, 0]).abs().min() > 1e-4


def test_a_norm_rounds_its_result_only() -> None:
    norm = llama.RMSNorm(WIDTH)
    x = 300 + torch.randn(1, 4, WIDTH)
    exact = norm(x.bfloat16().double())
    assert (norm(x.bfloat16()).double() - exact).abs().max() < 2**-8


@pytest.mark.parametrize("how", ["autocast", "bfloat16 weights"])
def test_costs_are_computed_in_float32_whatever_the_layers_use(how: str) -> None:
    built = llama.model(shape(), Variant)
    source, target = batch()
    expected, _ = built(source, target)
    built = built if how == "autocast" else built.bfloat16()
    with torch.autocast("cpu", torch.bfloat16, enabled=how == "autocast"):
        states, _ = built.decoder(source)
        costs, _ = built(source, target)
        logs = built.decoder.log_probabilities(states)
    assert costs.dtype == logs.dtype == torch.float32
    torch.testing.assert_close(logs.exp().sum(-1), torch.ones(2, TOKENS), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(costs, expected, rtol=0.02, atol=0.02)


def test_sequences_longer_than_the_context_are_refused() -> None:
    words = torch.full((1, TOKENS + 1), 5)
    with pytest.raises(ValueError, match="A sequence of 10 tokens exceeds the model's context of 9"):
        model()(words, words)


@pytest.mark.parametrize("option", ["dropout", "attention_dropout", "activation_dropout"])
def test_each_dropout_acts_in_training_only(option: str) -> None:
    built = model(**{option: 0.3})
    quiet = built(*batch())[0]
    torch.testing.assert_close(quiet, model()(*batch())[0])
    built.train()
    assert not torch.allclose(built(*batch())[0], quiet)


def test_weights_that_end_a_branch_are_drawn_smaller_by_the_depth() -> None:
    torch.manual_seed(0)
    built = llama.model(shape(depth=8, width=64, ffn=128), Variant)
    spread = {name: parameter.std().item() for name, parameter in built.named_parameters() if parameter.ndim == 2}
    for name, found in spread.items():
        ends = name.endswith(("o_proj.weight", "down_proj.weight"))
        assert found == pytest.approx(0.02 / 4 if ends else 0.02, rel=0.1), name


@pytest.mark.parametrize("bands", ["falling", "equal"])
def test_the_adaptive_softmax_fits_this_decoder_too(bands: str) -> None:
    built = model(cutoffs=(10, 20), bands=bands)
    source, target = batch()
    states, _ = built.decoder(source)
    logs = built.decoder.log_probabilities(states)
    torch.testing.assert_close(logs.exp().sum(-1), torch.ones(2, TOKENS, dtype=torch.float64))
    torch.testing.assert_close(-logs.gather(-1, target[..., None])[..., 0], built(source, target)[0])


@pytest.mark.slow
def test_the_whole_model_is_one_graph() -> None:
    built = llama.model(shape(), registry.variant("neutreno"))
    compiled = torch.compile(built, backend="aot_eager", fullgraph=True)
    source, target = batch()
    torch.testing.assert_close(compiled(source, target)[0], built(source, target)[0])
    compiled(source, target)[0].mean().backward()


def test_layers_know_their_place() -> None:
    seen: list[Layer] = []

    def plug(layer: Layer) -> Variant:
        seen.append(layer)
        return Variant(layer)

    llama.model(shape(), plug)
    assert seen == [Layer(i, DEPTH, WIDTH, HEADS, causal=True) for i in range(DEPTH)]
