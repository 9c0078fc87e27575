"""The graph task: arguments, metrics by data set, what is tested in the end, and training on parts of a graph."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from jobs.contract import Launch
from jobs.errors import Preempted
from jobs.metrics.ranking import roc_auc
from jobs.randomness import seed_all
from jobs.tasks.graph import Graph
from jobs.training.attempt import Run
from jobs.training.energy import Meter
from jobs.training.events import Events
from jobs.training.loop import Trainer
from jobs.training.processes import Processes
from jobs.training.stop import Stop
from tests.jobs import tiny
from tests.jobs.data.raw_graphs import WRITERS


def loaded(**arguments: Any) -> Graph:
    task = Graph(**{"width": 8, "depth": 2, "dropout": 0.0} | arguments)
    task.load("karate", "default", None, 0)
    return task


def trainer(folder: Path, task: Graph, stop: Stop | None = None, **changes: Any) -> Trainer:
    spec = tiny.spec("graph", **changes)
    job = tiny.place(folder, spec)
    launch = Launch.load(job.attempt(job.attempts()[-1]).launch)
    run = Run(spec, launch, job, Events(None), Processes(), stop or Stop(), Meter([]))
    model = tiny.built(task, "softmax")
    seed_all(0, "train", 0)
    return Trainer(run, task, model)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"depth": 0}, "depth must be >= 1, got 0."),
        ({"dropout": 1.0}, r"dropout must be in \[0, 1\), got 1.0."),
        ({"model": "gcnii", "alpha": 2.0}, r"alpha must be in \[0, 1\], got 2.0."),
        ({"alpha": 0.2}, "alpha has no effect with model gcn; leave it out, or use gcnii or appnp or gprgnn."),
        ({"model": "gat", "normalisation": "row"}, "normalisation has no effect with model gat"),
        ({"fanout": 3}, "fanout has no effect with sampling none; leave it out, or use neighbour."),
        ({"convolution_decay": "small"}, "convolution_decay must be null or a number >= 0, got 'small'."),
        ({"model": "gat", "width": 60}, "width 60 is not divisible by 8 heads."),
    ],
)
def test_arguments_out_of_range_or_without_effect_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Graph(**arguments)


def test_the_best_validation_loss_is_tested_and_not_the_last_epoch(tmp_path: Path) -> None:
    """A rate that is far too high after step 3 ruins every later epoch."""
    task = loaded(lr=0.05)
    task.rate = lambda step, steps: 1.0 if step < 3 else 200.0  # type: ignore[method-assign]
    training = trainer(tmp_path, task, steps=8)
    training.train()
    losses = [entry["loss"] for entry in training.progress.curve]
    assert losses.index(min(losses)) < 4 and losses[-1] > 2 * min(losses)
    assert training.progress.best_step == losses.index(min(losses)) + 1
    assert training.evaluate("val")["loss"] == min(losses)


def test_patience_counts_epochs_without_a_better_validation_loss(tmp_path: Path) -> None:
    task = loaded(lr=0.05, patience=3)
    task.rate = lambda step, steps: 1.0 if step < 3 else 200.0  # type: ignore[method-assign]
    training = trainer(tmp_path, task, steps=50)
    training.train()
    best = training.progress.best_step
    assert best is not None and training.progress.step == best + 3


@pytest.mark.parametrize("sampling", ["none", "neighbour"])
def test_an_interrupted_job_ends_with_the_same_weights(sampling: str, tmp_path: Path) -> None:
    """Dropout's own draws, sampled neighbourhoods and the fused optimizer included."""
    arguments = {"model": "gat", "heads": 2, "dropout": 0.5, "sampling": sampling}
    straight = trainer(tmp_path / "straight", loaded(**arguments), steps=8)
    straight.train()
    stop, task = Stop(), loaded(**arguments)
    task.rate = lambda step, steps: setattr(stop, "requested", step == 3) or 1.0  # type: ignore[func-returns-value,method-assign]
    with pytest.raises(Preempted):
        trainer(tmp_path / "broken", task, stop, steps=8).train()
    resumed = trainer(tmp_path / "broken", loaded(**arguments), steps=8)
    resumed.train()
    assert resumed.progress.curve == straight.progress.curve
    for name, weight in straight.model.state_dict().items():
        assert torch.equal(resumed.model.state_dict()[name], weight), name


def test_blocks_and_linear_maps_can_decay_apart() -> None:
    task = loaded(model="gcnii", weight_decay=5e-4, convolution_decay=0.01)
    model = tiny.built(task, "attnscale")
    decays = {id(p): group["weight_decay"] for group in task.optimizer(model).param_groups for p in group["params"]}
    for name, parameter in model.named_parameters():
        assert decays[id(parameter)] == (0.01 if name.startswith("convolutions") else 5e-4), name


@pytest.mark.parametrize(("name", "primary"), [("minesweeper", "roc_auc"), ("amazon-ratings", "accuracy")])
def test_the_primary_metric_is_the_published_one(name: str, primary: str, tmp_path: Path) -> None:
    place, write = WRITERS[name]
    write(tmp_path / "graphs" / place)
    task = Graph(depth=1, width=8)
    task.load(name, "split-0", tmp_path, 0)
    with torch.no_grad():
        values = task.evaluate(tiny.built(task, "softmax").eval(), "test", lambda: None)
    assert task.metrics[0].name == primary
    assert sorted(values) == sorted(metric.name for metric in task.metrics)
    assert Graph.metrics[0].name == "accuracy"


def test_the_area_under_the_curve_is_the_share_of_pairs_in_order() -> None:
    draws = torch.Generator().manual_seed(0)
    scores = torch.randint(0, 8, (60,), generator=draws).float()
    positive = torch.rand(60, generator=draws) < 0.3
    above = (scores[positive][:, None] - scores[~positive][None]).sign().add(1).div(2)
    assert roc_auc(scores, positive) == pytest.approx(100 * above.mean().item())


@pytest.mark.parametrize(
    ("arguments", "batch"),
    [({"sampling": "cluster", "clusters": 8}, 4), ({"sampling": "neighbour", "fanout": 5}, 16)],
)
def test_training_on_parts_learns_the_whole(arguments: dict[str, Any], batch: int, tmp_path: Path) -> None:
    task = loaded(lr=0.02, **arguments)
    training = trainer(tmp_path, task, steps=40, global_batch=batch)
    before = training.evaluate("test")["accuracy"]
    training.train()
    assert not task.full_batch
    assert training.evaluate("test")["accuracy"] > max(60, before + 10)


def test_a_part_without_training_nodes_has_no_loss_and_no_gradient() -> None:
    task = loaded(sampling="cluster", clusters=274)
    empty = next(i for i in range(274) if not task.batch([(0, i)]).masks["train"].any())
    model = tiny.built(task, "softmax")
    loss = task.loss(model, task.batch([(0, empty)]))
    loss.backward()
    assert loss == 0
    assert all(torch.count_nonzero(p.grad) == 0 for p in model.parameters() if p.grad is not None)


def test_whole_neighbourhoods_give_each_root_its_full_batch_logits() -> None:
    """With every neighbour of enough hops, only the degrees at the rim differ, which a root does not see."""
    task = loaded(sampling="neighbour", hops=4, fanout=1000)
    model: nn.Module = tiny.built(task, "softmax").eval()
    graph, draws = task._graph, [(0, 0), (0, 9)]
    with torch.no_grad():
        whole, _ = model(graph.features, graph.edges)
        part = task.batch(draws)
        found, _ = model(part.features, part.edges)
    roots = graph.masks["train"].nonzero()[:, 0][[0, 9]]
    torch.testing.assert_close(found[part.masks["train"]], whole[roots])
