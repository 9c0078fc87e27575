"""Segmentation as a task: its numbers, its runner, its arguments."""

import random
from pathlib import Path
from typing import Any

import numpy
import pytest
import torch
from torch.nn.functional import interpolate

from jobs.errors import DataError
from jobs.hosts.openmmlab import pseudo_collate
from jobs.metrics.smoothness import profile
from jobs.randomness import state
from jobs.tasks.segmentation import Segmentation
from jobs.training.run import build
from jobs.variants.neutreno import NeuTRENO
from jobs.variants.softmax import Softmax
from tests.jobs.hosts.test_labelled import camvid

TINY: dict[str, Any] = {"crop": 16, "short_side": 16, "stride": 16, "patch": 4, "width": 8, "depth": 2, "heads": 2}


def streets(root: Path, **arguments: Any) -> tuple[Segmentation, Any]:
    """The task on six made-up street scenes, and its model."""
    task = Segmentation(**TINY | arguments)
    task.load("camvid", "default", camvid(root), 0)
    return task, build(task, NeuTRENO, 0)


def by_hand(predictions: Any, labels: Any, classes: int) -> dict[str, float]:
    """Counted pixel by pixel; classes that occur nowhere do not count."""
    both, told, true = ([0] * classes for _ in range(3))
    for predicted, label in zip(predictions.ravel().tolist(), labels.ravel().tolist(), strict=True):
        if label != 255:
            both[label] += predicted == label
            told[predicted] += 1
            true[label] += 1
    union = [told[k] + true[k] - both[k] for k in range(classes)]
    return {
        "mIoU": 100 * float(numpy.mean([both[k] / union[k] for k in range(classes) if union[k]])),
        "mAcc": 100 * float(numpy.mean([both[k] / true[k] for k in range(classes) if true[k]])),
        "aAcc": 100 * sum(both) / sum(true),
    }


def test_the_metrics_are_those_counted_by_hand(tmp_path: Path) -> None:
    task, model = streets(tmp_path)
    samples = [task._parts.test[index] for index in range(2)]
    labels = torch.stack([sample["data_samples"].gt_sem_seg.data[0] for sample in samples])
    model.eval()
    with torch.no_grad():
        (logits,), _ = model(model.data_preprocessor(pseudo_collate(samples))["inputs"])
    predictions = interpolate(logits, size=(16, 16), mode="bilinear", align_corners=False).argmax(1)
    found = task.evaluate(model, "test", lambda: None)
    assert set(found) == {metric.name for metric in task.metrics}
    assert found == pytest.approx(by_hand(predictions, labels, 11), abs=0.006)
    assert len(set(predictions.ravel().tolist())) > 1


def test_validation_and_test_measure_their_own_parts_with_a_beat_per_batch(tmp_path: Path) -> None:
    task, model = streets(tmp_path)
    beats: list[int] = []
    values = [task.evaluate(model, part, lambda: beats.append(1)) for part in ("val", "test", "val")]  # type: ignore[arg-type]
    assert values[0] == values[2] != values[1]
    assert len(beats) == 3


def test_the_loss_is_mmsegmentations_own(tmp_path: Path) -> None:
    task, model = streets(tmp_path)
    batch = task.batch([(0, 0), (0, 1)])
    loss = task.loss(model, batch)
    ready = model.data_preprocessor(pseudo_collate(task.batch([(0, 0), (0, 1)])), training=True)
    total, _ = model.parse_losses(model(**ready, mode="loss"))
    assert loss.item() == pytest.approx(total.item(), rel=1e-6)


def test_the_runner_calls_the_shared_loop_once_and_touches_nothing(tmp_path: Path, monkeypatch: Any) -> None:
    scratch = tmp_path / "here"
    scratch.mkdir()
    monkeypatch.chdir(scratch)
    monkeypatch.setenv("TMPDIR", str(scratch))
    task, model = streets(tmp_path)
    weights = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    optimizer = task.optimizer(model)
    before, calls = state(), []
    task.fit(model, optimizer, lambda: calls.append(1))
    task.evaluate(model, "val", lambda: None)
    after = state()
    assert calls == [1]
    assert all(torch.equal(weights[name], tensor) for name, tensor in model.state_dict().items())
    assert before["python"] == after["python"] == random.getstate()
    assert torch.equal(before["torch"], after["torch"]) and torch.equal(before["numpy"][1], after["numpy"][1])
    assert list(scratch.iterdir()) == []


def test_an_error_in_training_passes_through_the_runner(tmp_path: Path) -> None:
    task, model = streets(tmp_path)

    def train() -> None:
        raise DataError("A picture is broken.")

    with pytest.raises(DataError, match="A picture is broken"):
        task.fit(model, task.optimizer(model), train)


def test_training_on_one_picture_learns_it(tmp_path: Path) -> None:
    task, model = streets(tmp_path, lr=0.01)
    batch, optimizer = task.batch([(0, 0)]), task.optimizer(model)
    losses = []
    for _ in range(15):
        optimizer.zero_grad()
        loss = task.loss(model, batch)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.8 * losses[0]


def test_the_profile_is_the_same_each_time(tmp_path: Path) -> None:
    task, model = streets(tmp_path)
    rows = profile(task, model)
    assert rows == profile(task, model)
    assert {(row["stack"], row["layer"]) for row in rows} == {(s, i) for s in ("encoder", "decoder") for i in range(2)}


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


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"crop": 30}, "crop must be a multiple of patch, got 30 and 4."),
        ({"width": 50}, "width must be a multiple of heads, got 50 and 4."),
        ({"depth": 0}, "depth must be >= 1, got 0."),
        ({"stride": 33}, r"stride must be in \[1, crop\], got 33 with a crop of 32."),
        ({"warmup": 1.0}, r"warmup must be in \[0, 1\), got 1.0."),
        ({"embedding_std": 0.0}, "embedding_std must be > 0, got 0.0."),
    ],
)
def test_arguments_out_of_range_are_refused_in_a_sentence(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Segmentation(**arguments)


def test_an_upstream_checkpoint_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    task = Segmentation(**TINY)
    task.load("scenes", "default", None, 0)
    model = build(task, Softmax, 0)
    torch.save({"step": 1, "model": {"linear.weight": torch.zeros(2)}}, tmp_path / "other.pt")
    with pytest.raises(DataError, match=r"checkpoint does not fit this encoder: .*patch_embed.proj.weight"):
        task.initialise(model, tmp_path / "other.pt")
