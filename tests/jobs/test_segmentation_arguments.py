"""Segmentation's arguments: what they stand for, what is refused, that the published recipe can be written."""

from pathlib import Path
from typing import Any

import pytest
import torch

from jobs.hosts import deit
from jobs.hosts.encoder import Shape
from jobs.tasks.segmentation import Segmentation
from jobs.training.run import build
from jobs.variants.neutreno import NeuTRENO
from tests.jobs.data.test_labelled import ade20k
from tests.jobs.hosts import untouched
from tests.jobs.test_segmentation import streets


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_embeddings_biases_and_norms_do_not_decay(optimizer: Any, tmp_path: Path) -> None:
    task, model = streets(tmp_path, optimizer=optimizer, weight_decay=0.1)
    decays = {
        id(parameter): group["weight_decay"]
        for group in task.optimizer(model).param_groups
        for parameter in group["params"]
    }
    named = {name: decays[id(parameter)] for name, parameter in model.named_parameters()}
    assert named["backbone.vit.blocks.0.mlp.fc1.weight"] == named["decode_head.patch_proj.weight"] == 0.1
    for name in ("backbone.vit.pos_embed", "decode_head.cls_emb", "decode_head.mask_norm.weight"):
        assert named[name] == 0
    assert named["backbone.vit.blocks.0.mlp.fc1.bias"] == 0


def test_the_rate_rises_then_falls_to_zero() -> None:
    task = Segmentation(warmup=0.1)
    rates = [task.rate(step, 100) for step in range(100)]
    assert rates[0] == pytest.approx(0.1, abs=0.01) and max(rates) == pytest.approx(0.92, abs=0.01)
    assert rates[99] == pytest.approx(0.01**0.9)


def test_the_rate_falls_to_its_floor_by_its_power() -> None:
    task = Segmentation(lr=0.1, min_lr=0.02, power=2.0, warmup=0.0)
    assert [0.1 * task.rate(step, 4) for step in (0, 2)] == pytest.approx([0.1, 0.02 + 0.08 * 0.25])
    assert 0.1 * task.rate(10**6 - 1, 10**6) == pytest.approx(0.02)


RECIPE: dict[str, Any] = {"patch": 16, "width": 192, "depth": 12, "heads": 3, "decoder_depth": 2}
RECIPE |= {"crop": 512, "short_side": 512, "stride": 480, "drop_path": 0.1, "decoder_dropout": 0.1}
RECIPE |= {"optimizer": "sgd", "lr": 0.001, "min_lr": 0.00001, "power": 0.9, "weight_decay": 0.0}
RECIPE |= {"warmup": 0.0, "clip": 0.0, "embedding_std": 0.02, "multi_scale": True}
"""Segmenter-Tiny on ADE20K; 64 epochs of 20,210 pictures in batches of 8 are 161,680 steps."""


def test_the_published_recipe_can_be_written_and_starts_from_a_224_pixel_classifier(tmp_path: Path) -> None:
    task = Segmentation(**RECIPE)
    task.load("ade20k", "default", ade20k(tmp_path), 0)
    model: Any = build(task, NeuTRENO, 0)
    torch.manual_seed(1)
    classifier = deit.create("deit_tiny_patch16_224", NeuTRENO, {})
    torch.save({"step": 1, "model": classifier.state_dict()}, tmp_path / "upstream.pt")
    task.initialise(model, tmp_path / "upstream.pt")
    assert torch.equal(model.backbone.vit.blocks[11].mlp.fc1.weight, classifier.blocks[11].mlp.fc1.weight)  # type: ignore[union-attr,index]
    assert model.backbone.vit.pos_embed.shape == (1, 32 * 32 + 1, 192)
    sizes = {name: task.sizes[name] for name in ("decoder_width", "decoder_heads")}
    assert sizes == {"decoder_width": 192, "decoder_heads": 3}
    reference = untouched.segmenter(Shape(**task.sizes, classes=150))
    assert sum(p.numel() for p in model.parameters()) == sum(p.numel() for p in reference.parameters())
    optimizer: Any = task.optimizer(model)
    assert type(optimizer) is torch.optim.SGD and task.clip is None
    assert {(group["lr"], group["momentum"], group["weight_decay"]) for group in optimizer.param_groups} == {
        (0.001, 0.9, 0.0)
    }
    assert 0.001 * task.rate(161_679, 161_680) == pytest.approx(1e-5, rel=0.01)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"crop": 30}, "crop must be a multiple of patch, got 30 and 4."),
        ({"width": 50}, "width must be a multiple of heads, got 50 and 4."),
        ({"depth": 0}, "depth must be >= 1, got 0."),
        ({"stride": 33}, r"stride must be in \[1, crop\], got 33 with a crop of 32."),
        ({"warmup": 1.0}, r"warmup must be in \[0, 1\), got 1.0."),
        ({"embedding_std": 0.0}, "embedding_std must be > 0, got 0.0."),
        ({"decoder_width": 30}, "decoder_width must be a multiple of decoder_heads, got 30 and 4."),
        ({"decoder_dropout": -0.1}, r"decoder_dropout must be in \[0, 1\), got -0.1."),
        ({"min_lr": 0.1}, r"min_lr must be in \[0, lr\], got 0.1 with an lr of 0.003."),
        ({"power": 0.0}, "power must be > 0, got 0.0."),
        ({"model": "upernet", "crop": 4, "stride": 4}, "crop must be >= 2 patches, got 4 with a patch of 4."),
    ],
)
def test_arguments_out_of_range_are_refused_in_a_sentence(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Segmentation(**arguments)
