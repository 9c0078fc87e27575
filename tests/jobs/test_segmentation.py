"""Segmentation as a task: its losses, its runner, its layers."""

import random
from pathlib import Path
from typing import Any

import pytest
import torch

from jobs.api import Layer, Plug, Variant
from jobs.errors import DataError
from jobs.metrics.smoothness import profile
from jobs.openmmlab import pseudo_collate
from jobs.randomness import state
from jobs.tasks.segmentation import Segmentation
from jobs.training.run import build, plug
from jobs.variants.neutreno import NeuTRENO
from jobs.variants.softmax import Softmax
from tests.jobs import tiny
from tests.jobs.data.test_labelled import camvid

TINY: dict[str, Any] = {
    "decoder_depth": 3,
    "crop": 16,
    "short_side": 16,
    "stride": 16,
    "patch": 4,
    "width": 8,
    "depth": 2,
    "heads": 2,
}


def streets(root: Path, *, side: int = 16, names: str = "ab", **arguments: Any) -> tuple[Segmentation, Any]:
    """The task on made-up street scenes, two per part, and its model."""
    task = Segmentation(**TINY | arguments)
    task.load("camvid", "default", camvid(root, side=side, names=names), 0)
    return task, build(task, NeuTRENO, 0)


class Drawing(Variant):
    """Draws its weights from the global stream, as many layers do."""

    def __init__(self, layer: Layer) -> None:
        super().__init__(layer)
        self.weight = torch.nn.Linear(3, 3)


@pytest.mark.parametrize("model", ["segmenter", "upernet"])
def test_the_loss_is_mmsegmentations_own(model: str, tmp_path: Path) -> None:
    task, network = streets(tmp_path, model=model)
    loss = task.loss(network, task.batch([(0, 0), (0, 1)]))
    ready = network.data_preprocessor(pseudo_collate(task.batch([(0, 0), (0, 1)])), training=True)
    (logits, *auxiliary), _ = network(ready["inputs"])
    expected = network.decode_head.loss_by_feat(logits, ready["data_samples"])["loss_ce"]
    for given in auxiliary:
        expected = expected + network.auxiliary_head.loss_by_feat(given, ready["data_samples"])["loss_ce"]
    assert len(auxiliary) == (model == "upernet")
    assert loss.item() == pytest.approx(expected.item(), rel=1e-6)


@pytest.mark.parametrize("model", ["segmenter", "upernet"])
def test_every_layer_asks_for_its_variant_once_and_a_variants_draws_shift_nothing(model: str, tmp_path: Path) -> None:
    """NeuTRENO's own segmentation code builds its decoder twice, which shifts the random stream."""
    task, _ = streets(tmp_path, model=model)
    asked, after = [], []
    for variant in (Softmax, Drawing):
        make = plug(tiny.spec("segmentation"), variant)

        def counted(layer: Layer, make: Plug = make) -> Variant:
            asked.append((layer.depth, layer.index))
            return make(layer)

        weights = build(task, counted, 0).state_dict()
        after.append((torch.get_rng_state(), weights))
    layers = {"segmenter": [(2, 0), (2, 1), (3, 0), (3, 1), (3, 2)], "upernet": [(2, 0), (2, 1)]}
    assert asked == 2 * layers[model]
    (stream, plain), (same, drawn) = after
    assert torch.equal(stream, same)
    assert all(torch.equal(drawn[name], tensor) for name, tensor in plain.items())


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
    assert {(row["stack"], row["layer"]) for row in rows} == {
        (stack, layer) for stack, depth in {"encoder": 2, "decoder": 3}.items() for layer in range(depth)
    }


def test_an_upstream_checkpoint_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    task = Segmentation(**TINY)
    task.load("scenes", "default", None, 0)
    model = build(task, Softmax, 0)
    torch.save({"step": 1, "model": {"linear.weight": torch.zeros(2)}}, tmp_path / "other.pt")
    with pytest.raises(DataError, match=r"checkpoint does not fit this encoder: .*patch_embed.proj.weight"):
        task.initialise(model, tmp_path / "other.pt")
