"""timm's vision transformers through the seam: the same network, with the variant's hooks in it."""

from typing import Any

import pytest
import timm
import torch
from torch import Tensor, nn

from jobs import registry
from jobs.api import Layer, Smoothing, Variant
from jobs.hosts import deit

NAME = "deit_tiny_patch16_224"
SMALL: dict[str, Any] = {
    "img_size": 16,
    "patch_size": 4,
    "in_chans": 1,
    "embed_dim": 24,
    "depth": 3,
    "num_heads": 3,
    "num_classes": 5,
}
FLAVOURS: dict[str, dict[str, Any]] = {
    "plain": {},
    "drop path and dropout": {"drop_path_rate": 0.5, "proj_drop_rate": 0.2, "attn_drop_rate": 0.2},
    "layer scale and norms of q and k": {"init_values": 0.1, "qk_norm": True},
    "registers and a norm after attention": {"reg_tokens": 2, "scale_attn_norm": True},
    "average pooling": {"global_pool": "avg"},
}


def ours(variant: type[Variant] = Variant, **options: Any) -> deit.DeiT:
    torch.manual_seed(0)
    return deit.create(NAME, variant, SMALL | options)


def images() -> Tensor:
    return torch.randn(2, 1, 16, 16, generator=torch.Generator().manual_seed(1))


def untouched(**options: Any) -> nn.Module:
    torch.manual_seed(0)
    return timm.create_model(NAME, **SMALL | options)


@pytest.mark.parametrize("options", FLAVOURS.values(), ids=FLAVOURS.keys())
def test_the_baseline_is_untouched_timm_forward_and_gradient(options: dict[str, Any]) -> None:
    model, reference = ours(**options), untouched(**options)
    torch.manual_seed(2)
    logits, penalty = model(images())
    torch.manual_seed(2)
    expected = reference(images())
    assert penalty == 0
    torch.testing.assert_close(logits, expected, rtol=1e-6, atol=1e-6)
    logits.square().sum().backward()
    expected.square().sum().backward()
    gradients = {name: parameter.grad for name, parameter in model.named_parameters()}
    for name, parameter in reference.named_parameters():
        torch.testing.assert_close(gradients[name], parameter.grad, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("variant", registry.variant_names())
def test_the_same_seed_gives_the_weights_that_timm_draws(variant: str) -> None:
    cls = registry.variant(variant)
    reason = cls.skip(Layer(0, 3, 24, 3, causal=False))
    if reason:
        pytest.skip(reason)
    weights = ours(cls).state_dict()
    free = "qkv" if cls.begin is not Variant.begin else "none"  # it sets the queries itself
    for name, value in untouched().state_dict().items():
        assert free in name or torch.equal(weights[name], value), name


class Spy(Variant):
    """Writes down which hook was called in which layer."""

    seen: list[tuple[str, int]] = []

    def enter(self, x: Tensor) -> Tensor:
        self.seen.append(("enter", self.layer.index))
        return x

    def mix(self, a: Smoothing, v: Tensor) -> Tensor:
        self.seen.append(("mix", self.layer.index))
        return a(v)

    def refine(self, y: Tensor, a: Smoothing) -> Tensor:
        self.seen.append(("refine", self.layer.index))
        return y

    def penalty(self, x: Tensor) -> Tensor:
        self.seen.append(("penalty", self.layer.index))
        return x.new_zeros(())


def test_each_norm_is_entered_once_and_the_last_layer_enters_the_final_norm() -> None:
    Spy.seen.clear()
    ours(Spy)(images())
    per_layer = ("enter", "mix", "refine", "enter", "penalty")
    assert Spy.seen == [(hook, layer) for layer in range(3) for hook in per_layer] + [("enter", 2)]


class Blank(Variant):
    """Lets no norm see anything."""

    def enter(self, x: Tensor) -> Tensor:
        return torch.zeros_like(x)


def test_norms_receive_what_enter_returns() -> None:
    model = ours(Blank)
    received: list[Tensor] = []
    for name, module in model.named_modules():
        if name.endswith(("norm1", "norm2")) or name == "norm":
            module.register_forward_pre_hook(lambda _, inputs: received.append(inputs[0]))
    model(images())
    assert len(received) == 7
    assert all(not tokens.any() for tokens in received)


def test_the_branch_sees_the_normalised_input_of_its_layer() -> None:
    class Witness(Variant):
        """Keeps the inputs it was given."""

        seen: list[Tensor] = []

        def mix(self, a: Smoothing, v: Tensor) -> Tensor:
            self.seen.append(a.x)
            return a(v)

    model = ours(Witness)
    normed: list[Tensor] = []
    blocks: Any = model.blocks
    blocks[0].norm1.register_forward_hook(lambda _, inputs, output: normed.append(output))
    model(images())
    assert torch.equal(Witness.seen[0][:, 0], normed[0])


def test_without_positions_the_order_of_patches_does_not_matter() -> None:
    model = ours(registry.variant("centered")).double().eval()
    with torch.no_grad():
        deit.positions(model).zero_()
    pictures = images().double()
    patches = pictures.unfold(2, 4, 4).unfold(3, 4, 4).flatten(2, 3)
    shuffled = patches[:, :, torch.randperm(16, generator=torch.Generator().manual_seed(3))]
    moved = shuffled.unflatten(2, (4, 4)).permute(0, 1, 2, 4, 3, 5).reshape(pictures.shape)
    assert not torch.equal(moved, pictures)
    torch.testing.assert_close(model(moved)[0], model(pictures)[0], rtol=1e-10, atol=1e-12)


def test_checkpointing_redraws_the_same_dropped_paths() -> None:
    results = []
    for checkpointing in (False, True):
        model = ours(registry.variant("neutreno"), drop_path_rate=0.5)
        model.blocks.checkpointing = checkpointing
        torch.manual_seed(4)
        model(images())[0].sum().backward()
        results.append({name: parameter.grad for name, parameter in model.named_parameters()})
    for name, gradient in results[0].items():
        torch.testing.assert_close(results[1][name], gradient, rtol=1e-6, atol=1e-7)


def test_weights_of_another_image_size_get_their_positions_resampled() -> None:
    small, large = ours(), ours(img_size=32)
    weights = deit.fitted(small.state_dict(), large)
    assert weights["pos_embed"].shape == (1, 65, 24)
    large.load_state_dict(weights)
    torch.testing.assert_close(weights["pos_embed"][:, 0], deit.positions(small)[:, 0])
    assert torch.equal(deit.fitted(small.state_dict(), small)["pos_embed"], deit.positions(small))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "deit_tinny_patch16_224",
            r"no model 'deit_tinny_patch16_224'. Did you mean 'deit_tiny_patch16_224'",
        ),
        ("deit_tiny_distilled_patch16_224", "is not a plain VisionTransformer"),
        ("vit_base_patch16_siglip_224", "is not a plain VisionTransformer"),
        ("vit_base_patch16_rpn_224", "has blocks of its own .ResPostBlock with Attention."),
        ("vit_dwee_patch16_reg1_gap_256", "has blocks of its own .Block with DiffAttention."),
        ("resnet18", "resnet18 is none of timm's DeiTs and plain ViTs"),
    ],
)
def test_other_architectures_are_refused(name: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        deit.create(name, Variant, {"depth": 1})


@pytest.mark.parametrize("name", ["vit_tiny_patch16_224", "deit3_small_patch16_224", "vit_small_patch14_reg4_dinov2"])
def test_any_plain_vit_is_taken_by_name_and_is_timms_own(name: str) -> None:
    options: dict[str, Any] = {"img_size": 28, "patch_size": 14, "depth": 2, "num_classes": 5}
    torch.manual_seed(0)
    model = deit.create(name, Variant, options).eval()
    torch.manual_seed(0)
    reference = timm.create_model(name, **options).eval()
    pictures = torch.randn(2, 3, 28, 28)
    torch.testing.assert_close(model(pictures)[0], reference(pictures), rtol=1e-5, atol=1e-5)
