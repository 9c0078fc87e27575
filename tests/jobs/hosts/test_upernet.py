"""UPerNet through the seam: mmsegmentation's own network with our encoder, tapped at four depths."""

from typing import Any

import pytest
import torch
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample
from torch import Tensor, nn

from jobs.api import Plug, Smoothing, Variant
from jobs.errors import JobError
from jobs.hosts import encoder, upernet
from jobs.hosts.stack import Stack
from jobs.variants.neutreno import NeuTRENO
from tests.jobs.hosts import untouched

SHAPE = encoder.Shape(
    crop=16, patch=4, width=12, depth=4, heads=3, decoder_width=8, decoder_depth=1, decoder_heads=1, classes=5
)


def built(plug: Plug = Variant, **changes: Any) -> upernet.UPerNet:
    torch.manual_seed(0)
    return upernet.create(encoder.Shape(**vars(SHAPE) | changes), plug, stride=8)


def images(count: int = 2) -> Tensor:
    return torch.randn(count, 3, 16, 16, generator=torch.Generator().manual_seed(1))


def samples(count: int = 2) -> list[Any]:
    """Labels of pictures of 16x16 pixels."""
    found = []
    for index in range(count):
        labels = torch.randint(0, 5, (1, 16, 16), generator=torch.Generator().manual_seed(index))
        sample = SegDataSample(metainfo={"img_shape": (16, 16), "ori_shape": (16, 16)})
        sample.set_data({"gt_sem_seg": PixelData(data=labels)})
        found.append(sample)
    return found


def test_the_baseline_is_mmsegmentations_upernet_in_losses_gradients_and_predictions() -> None:
    torch.manual_seed(0)
    reference = untouched.upernet(SHAPE)
    for parameter in reference.parameters():
        nn.init.normal_(parameter, std=0.3)
    reference.double()  # so that rounding cannot hide a difference
    model = built().double()
    model.load_state_dict(untouched.renamed(reference.state_dict()))
    theirs = reference.loss(images().double(), samples())
    ours = model.losses(model(images().double()), samples())
    assert ours.pop("loss_penalty") == 0
    torch.testing.assert_close(ours, theirs)
    model.parse_losses(ours)[0].backward()
    reference.parse_losses(theirs)[0].backward()
    gradients = untouched.renamed({name: parameter.grad for name, parameter in reference.named_parameters()})
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(parameter.grad, gradients[name])
    for network in (model, reference):
        network.eval()
    torch.testing.assert_close(model(images().double())[0][0], reference(images().double()))


def test_a_new_network_starts_with_the_weights_mmsegmentation_starts_with() -> None:
    """Its own initialisation leaves both heads' last convolution small and the neck's uniform."""
    model = built(width=24, decoder_width=64)
    for head in (model.decode_head, model.auxiliary_head):
        assert 0.008 < head.conv_seg.weight.std() < 0.012
    kernel = model.neck.convs[0].conv.weight
    bound = (6 / (9 * (24 + 24))) ** 0.5
    assert 0.95 * bound < kernel.abs().max() <= bound


class Witness(Variant):
    """Writes down the order of calls and whose first-layer tensor it found."""

    keeps = ("first",)
    seen: list[tuple[int, int | None]] = []

    def mix(self, a: Smoothing, v: Tensor) -> Tensor:
        held = a.memory.get("first")
        self.seen.append((self.layer.index, None if held is None else held.shape[-2]))
        a.memory.setdefault("first", v)
        return a(v)

    def penalty(self, x: Tensor) -> Tensor:
        return x.new_tensor(10.0)


def test_every_encoder_layer_runs_once_and_its_penalty_counts() -> None:
    model = built(Witness, depth=3)
    Witness.seen.clear()
    logits, penalty = model(images())
    assert Witness.seen == [(0, None), (1, 17), (2, 17)]
    assert penalty == 30
    assert [tuple(given.shape) for given in logits] == [(2, 5, 16, 16), (2, 5, 2, 2)]


def test_training_reaches_every_parameter_with_and_without_checkpointing() -> None:
    found = []
    for checkpointing in (False, True):
        model = built(NeuTRENO)
        for stack in (module for module in model.modules() if isinstance(module, Stack)):
            stack.checkpointing = checkpointing
        loss, _ = model.parse_losses(model.loss(images(), samples()))
        loss.backward()
        found.append({name: parameter.grad for name, parameter in model.named_parameters()})
    plain, again = found
    assert [name for name, gradient in plain.items() if gradient is None or not gradient.any()] == []
    for name, gradient in plain.items():
        torch.testing.assert_close(again[name], gradient, rtol=1e-5, atol=1e-7)


def test_normalisation_spans_processes_on_gpus_alone() -> None:
    kinds = {(n, cuda): upernet.norm(n, cuda=cuda)["type"] for n in (1, 2) for cuda in (False, True)}
    assert kinds == {(1, False): "BN", (1, True): "BN", (2, False): "BN", (2, True): "SyncBN"}


def test_a_batch_of_one_is_refused_in_training() -> None:
    model = built()
    with pytest.raises(JobError, match=r"trains on 2 pictures or more per forward pass, got 1; use a larger"):
        model(images(1))
    assert model.eval()(images(1))[0][0].shape == (1, 5, 16, 16)
