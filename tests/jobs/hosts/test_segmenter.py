"""Segmenter through the seam: mmsegmentation's own head with our blocks, two stacks, a classifier's weights."""

from typing import Any

import pytest
import torch
from torch import Tensor

from jobs.api import Layer, Plug, Smoothing, Variant
from jobs.hosts import deit, encoder, segmenter
from jobs.hosts.stack import Stack
from jobs.variants.neutreno import NeuTRENO
from tests.jobs.hosts import untouched
from tests.jobs.hosts.untouched import renamed

SHAPE = encoder.Shape(
    crop=16, patch=4, width=12, depth=3, heads=3, decoder_width=12, decoder_depth=2, decoder_heads=3, classes=5
)


def built(plug: Plug = Variant, **sizes: int) -> Any:
    torch.manual_seed(0)
    return segmenter.create(encoder.Shape(**vars(SHAPE) | sizes), plug, stride=8)


def images(*shape: int) -> Tensor:
    return torch.randn(shape or (2, 3, 16, 16), generator=torch.Generator().manual_seed(1))


def test_the_baseline_is_mmsegmentations_segmenter_with_a_decoder_of_another_width() -> None:
    """The whole network, encoder and decoder, forward and gradient."""
    shape = encoder.Shape(**vars(SHAPE) | {"decoder_width": 8, "decoder_heads": 2})
    torch.manual_seed(0)
    reference = untouched.segmenter(shape)
    for parameter in reference.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    reference.double()  # so that rounding cannot hide a difference
    model = segmenter.create(shape, Variant, stride=8).double()
    model.load_state_dict(renamed(reference.state_dict()))
    (logits,), penalty = model(images().double())
    expected = reference(images().double())
    assert penalty == 0
    torch.testing.assert_close(logits, expected)
    slope = images(*logits.shape)
    (logits * slope).sum().backward()
    (expected * slope).sum().backward()
    gradients = renamed({name: parameter.grad for name, parameter in reference.named_parameters()})
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(parameter.grad, gradients[name])


def test_dropout_in_the_decoder_acts_in_training_alone() -> None:
    head = segmenter.MaskTransformer(encoder.Shape(**vars(SHAPE) | {"decoder_dropout": 0.5}), Variant)
    given = (images(2, 12, 4, 4),)
    assert not torch.equal(head(given)[0], head(given)[0])
    head.eval()
    assert torch.equal(head(given)[0], head(given)[0])


def test_a_new_decoder_starts_with_the_weights_mmsegmentation_starts_with() -> None:
    head = segmenter.MaskTransformer(SHAPE, Variant)
    for name, parameter in head.named_parameters():
        if "norm" not in name and not name.endswith("bias"):
            assert 0.01 < parameter.std() < 0.03, name


class Witness(Variant):
    """Writes down what its memory held before and how many tokens it saw."""

    keeps = ("first",)
    seen: list[tuple[int, int, int, int | None]] = []

    def mix(self, a: Smoothing, v: Tensor) -> Tensor:
        held = a.memory.get("first")
        self.seen.append((self.layer.depth, self.layer.index, v.shape[-2], None if held is None else held.shape[-2]))
        a.memory.setdefault("first", v)
        return a(v)


def test_encoder_and_decoder_are_two_stacks_with_first_layers_of_their_own() -> None:
    model = built(Witness)
    Witness.seen.clear()
    model(images())
    encoder, decoder = 16 + 1, 16 + 5  # patches and the class token; patches and one token per class
    assert Witness.seen == [
        (3, 0, encoder, None),
        (3, 1, encoder, encoder),
        (3, 2, encoder, encoder),
        (2, 0, decoder, None),
        (2, 1, decoder, decoder),
    ]


class Shifted(Variant):
    """Tells every norm apart from the rest by adding 1 to one channel of what it receives."""

    def enter(self, x: Tensor) -> Tensor:
        shift = torch.zeros(x.shape[-1])
        shift[0] = 1
        return x + shift


def test_every_norm_of_both_stacks_receives_what_enter_returns() -> None:
    """Two norms per block and one after each stack: 2 (3 + 2) + 2."""
    model, calls = built(Shifted), []
    for module in model.modules():
        if isinstance(module, Variant):
            enter = module.enter
            module.enter = lambda x, enter=enter: calls.append(x) or enter(x)  # type: ignore[method-assign,misc]
    model(images())
    assert len(calls) == 12


@pytest.mark.parametrize(("height", "width"), [(16, 16), (24, 40), (10, 20)])
def test_pictures_of_any_size_are_labelled_pixel_by_pixel(height: int, width: int) -> None:
    """Larger ones by overlapping windows, smaller ones padded and cut again."""
    from jobs.openmmlab import PackSegInputs, pseudo_collate

    model = built().eval()
    picture = images(height, width, 3).numpy()
    sample = PackSegInputs()({"img": picture, "ori_shape": (height, width), "img_shape": (height, width)})
    (result,) = model.test_step(pseudo_collate([sample]))
    assert result.pred_sem_seg.data.shape == (1, height, width)
    assert result.seg_logits.data.shape == (5, height, width)
    assert result.seg_logits.data.isfinite().all()


def test_the_whole_network_is_one_graph_for_the_compiler() -> None:
    torch._dynamo.reset()
    found = torch._dynamo.explain(built(NeuTRENO))(images())
    assert (found.graph_count, found.graph_break_count) == (1, 0)


def classifier(variant: type[Variant] = Variant, **options: Any) -> deit.DeiT:
    torch.manual_seed(5)
    sizes = {"img_size": 8, "patch_size": 4, "embed_dim": 12, "depth": 3, "num_heads": 3, "num_classes": 7}
    return deit.create("deit_tiny_patch16_224", variant, sizes | {"in_chans": 1} | options)


def test_the_encoder_adopts_a_classifier_of_another_picture_size() -> None:
    model, upstream = built(), classifier()
    encoder.adopt(model, upstream.state_dict())
    vit = model.backbone.vit
    assert torch.equal(vit.blocks[2].mlp.fc1.weight, upstream.blocks[2].mlp.fc1.weight)  # type: ignore[union-attr,index]
    assert vit.pos_embed.shape == (1, 17, 12)
    torch.testing.assert_close(vit.pos_embed[:, 0], deit.positions(upstream)[:, 0])


def test_a_grey_classifier_sees_a_grey_picture_as_it_did() -> None:
    model, upstream = built(), classifier(img_size=16)
    encoder.adopt(model, upstream.state_dict())
    grey = images(2, 1, 16, 16)
    tokens, _ = model.backbone.vit.eval().tokens(grey.expand(-1, 3, -1, -1))
    expected, _ = upstream.eval().tokens(grey)
    torch.testing.assert_close(tokens, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"depth": 2}, "only the encoder has blocks.2.attn.proj.bias; give both the same depth and variant."),
        ({"depth": 4}, "only the classifier has blocks.3.attn.proj.bias; give both the same depth and variant."),
        ({"embed_dim": 24}, r"is \(.*24.*\) in the classifier and \(.*12.*\) in the encoder; give both the same width"),
        ({"patch_size": 2}, r"patch_embed.proj.weight is .*; give both the same width and patch."),
    ],
)
def test_a_classifier_that_does_not_fit_is_refused(options: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        encoder.adopt(built(), classifier(**options).state_dict())


class Learned(Variant):
    """Owns a parameter."""

    def __init__(self, layer: Layer) -> None:
        super().__init__(layer)
        self.weight = torch.nn.Linear(1, 1)


def test_a_classifier_of_another_variant_is_refused() -> None:
    with pytest.raises(ValueError, match=r"only the classifier has blocks.0.attn.variant.weight.bias; .* variant."):
        encoder.adopt(built(), classifier(Learned).state_dict())


def test_a_variants_own_linear_maps_keep_their_initial_weights() -> None:
    """mmsegmentation's head initialises every linear map inside it: the variant must not be in it yet."""
    made = []

    def plug(layer: Layer) -> Variant:
        made.append(Learned(layer))
        torch.nn.init.constant_(made[-1].weight.weight, 3.0)
        return made[-1]

    model = built(plug)
    assert len(made) == 5 and all(variant.weight.weight == 3.0 for variant in made)
    assert isinstance(model.decode_head.layers, Stack)
