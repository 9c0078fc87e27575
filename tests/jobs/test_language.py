import json
import math
import os
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import distributed, multiprocessing

from jobs import registry
from jobs.api import Variant
from jobs.contract import read_events
from jobs.errors import DataError
from jobs.metrics.perplexity import mean_cost
from jobs.portion import Portion
from jobs.tasks.language import Language
from jobs.training.order import Order
from jobs.training.run import plug
from tests.jobs import tiny


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({"depth": 0}, "depth must be > 0, got 0."),
        ({"width": 30, "heads": 4}, "width must be an even number >= 4 that heads = 4 divides, got 30."),
        ({"width": 9, "heads": 3}, "width must be an even number >= 4 that heads = 3 divides, got 9."),
        ({"context": 64, "context_window": 64}, "context_window must be in [0, 63] for context 64, got 64."),
        ({"dropout": 1.0}, "dropout must be in [0, 1), got 1.0."),
        ({"lr": 0.0}, "lr must be > 0, got 0.0."),
        ({"warmup": -1}, "warmup must be >= 0, got -1."),
        ({"schedule": "linear"}, "schedule must be cosine, cosine_from_start or inverse_sqrt, got 'linear'."),
        ({"cutoffs": "a lot"}, "cutoffs must be numbers of words separated by commas"),
        ({"cutoffs": "200,100"}, "cutoffs must be rising numbers of words > 0, at most one per factor 4 in width = 64"),
        ({"cutoffs": "200,100", "bands": "equal"}, "cutoffs must be rising numbers of words > 0, got '200,100'."),
        ({"bands": "wide"}, "bands must be falling or equal, got 'wide'."),
        ({"beta2": 1.0}, "beta2 must be in [0, 1), got 1.0."),
        ({"epsilon": 0.0}, "epsilon must be > 0, got 0.0."),
        ({"lr_end": 1.5}, "lr_end must be in [0, 1], got 1.5."),
        ({"architecture": "gpt"}, "architecture must be fairseq or modern, got 'gpt'."),
        ({"kv_heads": 2}, "kv_heads must be 0 in the fairseq architecture, got 2; modern can have fewer."),
        ({"architecture": "modern", "kv_heads": 3}, "kv_heads must divide heads = 4, got 3."),
        ({"architecture": "modern", "normalize_before": True}, "normalize_before must be left false: the modern"),
        ({"architecture": "modern", "width": 12}, "width / heads must be even for rotary positions, got 3;"),
    ],
)
def test_bad_arguments_are_refused_in_a_sentence(arguments: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError) as caught:
        Language(**arguments)
    assert str(caught.value).startswith(problem)


def test_a_misspelt_argument_is_refused() -> None:
    with pytest.raises(TypeError, match="detph"):
        Language(detph=3)  # type: ignore[call-arg]


def rates(steps: int, **arguments: Any) -> list[float]:
    task = Language(**arguments)
    return [task.rate(step, steps) for step in range(steps)]


def test_the_cosine_schedule_warms_up_and_falls_towards_zero() -> None:
    found = rates(100, warmup=10, schedule="cosine")
    assert found[:10] == pytest.approx([i / 10 for i in range(1, 11)])
    assert found[10] == 1.0 and found[55] == pytest.approx(0.5) and found[99] < 0.001
    assert found[10:] == sorted(found[10:], reverse=True)


def test_the_cosine_can_end_above_zero_and_count_the_warm_up() -> None:
    found = rates(100, warmup=10, schedule="cosine_from_start", lr_end=0.1)
    assert found[:10] == pytest.approx([i / 10 for i in range(1, 11)])
    assert found[10:] == pytest.approx([0.1 + 0.9 * (1 + math.cos(math.pi * i / 100)) / 2 for i in range(10, 100)])


def test_the_inverse_square_root_schedule_halves_after_four_times_the_warm_up() -> None:
    found = rates(100, warmup=10, schedule="inverse_sqrt")
    assert found[9] == found[10] == 1.0
    assert found[40] == pytest.approx(0.5)


def test_no_warm_up_starts_at_the_full_rate() -> None:
    assert rates(10, warmup=0)[0] == rates(10, warmup=0, schedule="inverse_sqrt")[0] == 1.0


def test_every_metric_is_reported_and_the_perplexity_is_the_exponent_of_the_loss() -> None:
    task = tiny.loaded("language")
    model = tiny.built(task, "softmax").eval()
    beats: list[None] = []
    with torch.no_grad():
        values = task.evaluate(model, "test", lambda: beats.append(None))
    assert set(values) == {metric.name for metric in task.metrics}
    assert values["perplexity"] == pytest.approx(math.exp(values["loss"]))
    assert values["perplexity_sliding"] != values["perplexity"]
    assert beats


def test_a_window_longer_than_the_trained_context_is_an_error_not_a_figure() -> None:
    task = tiny.loaded("language")
    model = tiny.built(task, "softmax").eval()
    stream = task._corpus.streams["val"].long()  # type: ignore[attr-defined]
    with pytest.raises(ValueError, match="A sequence of 32 tokens exceeds the model's context of 16"):
        mean_cost(lambda s, t: model(s, t)[0], stream, context=32)


def _evaluated(rank: int, count: int, folder: Path) -> None:
    """One of `count` processes that evaluate together; each writes what it found."""
    distributed.init_process_group("gloo", f"file://{folder / 'meeting'}", rank=rank, world_size=count)
    (folder / f"{rank}.json").write_text(json.dumps(_values(Portion(rank, count))))
    distributed.destroy_process_group()


def _values(portion: Portion) -> dict[str, float]:
    task = tiny.loaded("language")
    task.portion = portion
    with torch.no_grad():
        return task.evaluate(tiny.built(task, "neutreno").eval(), "test", lambda: None)


@pytest.mark.heavy
def test_processes_that_share_an_evaluation_find_what_one_finds(tmp_path: Path) -> None:
    multiprocessing.spawn(_evaluated, (2, tmp_path), nprocs=2)  # type: ignore[attr-defined, no-untyped-call]
    expected = _values(Portion())
    for rank in range(2):
        assert json.loads((tmp_path / f"{rank}.json").read_text()) == pytest.approx(expected, rel=1e-9)


@pytest.mark.heavy
def test_the_tested_weights_are_the_best_ones_not_the_last(tmp_path: Path) -> None:
    arguments = tiny.spec("language").arguments | {"validate_every": 1, "lr": 5.0, "warmup": 0, "clip": 0.0}
    folder = tiny.place(tmp_path, tiny.spec("language", arguments=arguments))
    code, log, result = tiny.finish(folder)
    assert code == 0 and result is not None, log
    curve = {point["step"]: point["loss"] for point in result.numbers["curve"]}
    best = min(curve, key=lambda step: curve[step])
    assert result.numbers["best_step"] == best < 6
    last = torch.load(folder.checkpoints / "step-6.pt", weights_only=True)
    final = torch.load(folder.checkpoints / "final.pt", weights_only=True)
    tested = result.numbers["metrics"]["loss"]["value"]
    assert tested == pytest.approx(_test_loss(final["model"]), rel=1e-6)
    assert tested != pytest.approx(_test_loss(last["model"]), rel=1e-3)


def _test_loss(weights: dict[str, Any]) -> float:
    task = tiny.loaded("language")
    model = tiny.built(task, "softmax").eval()
    model.load_state_dict(weights)
    with torch.no_grad():
        return task.evaluate(model, "test", lambda: None)["loss"]


RECIPE: dict[str, Any] = {
    "depth": 16,
    "width": 128,
    "heads": 8,
    "ffn": 2048,
    "context": 256,
    "dropout": 0.1,
    "activation_dropout": 0.1,
    "cutoffs": "20000,40000,200000",
    "bands": "equal",
    "lr": 2.5e-4,
    "beta2": 0.999,
    "warmup": 2000,
    "schedule": "cosine_from_start",
    "clip": 0.25,
    "validate_every": 4000,
}
"""The 16-layer WikiText-103 model of Schlag, Irie, Schmidhuber (2021), which NeuTRENO's authors train too."""


def test_the_wikitext_103_recipe_has_44_million_parameters() -> None:
    task = Language(**RECIPE)
    with torch.device("meta"):
        model = task.host(267_744, Variant)
    table, bands, layers = 267_744 * 128, 267_744 + 3 * 128 + 3, 16 * (4 * (128 * 128 + 128) + 4 * 128)
    layers += 16 * (2 * 128 * 2048 + 2048 + 128)
    found = sum(parameter.numel() for parameter in model.parameters())
    assert found == table + bands + layers == 44_027_747  # the authors' attention has no biases: 44,018,394
    optimizer = task.optimizer(model)
    assert optimizer.defaults["betas"] == (0.9, 0.999) and optimizer.defaults["eps"] == 1e-8
    assert optimizer.defaults["weight_decay"] == 0 and task.clip == 0.25


def test_the_wikitext_103_recipe_has_the_learning_rates_of_its_authors() -> None:
    """torch's CosineAnnealingLR over all 500,000 steps, the first 2,000 replaced by a line that is one step ahead."""
    task = Language(**RECIPE)
    optimizer = torch.optim.Adam([torch.nn.Parameter(torch.zeros(()))], lr=1.0)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 500_000)
    for step in (2_000, 40_000, 250_000, 499_999):
        schedule.last_epoch = step
        assert task.rate(step, 500_000) == pytest.approx(schedule._get_closed_form_lr()[0], rel=1e-12)
    assert [task.rate(step, 500_000) for step in (0, 999, 1_999)] == [1 / 2_000, 0.5, 1.0]


def test_cutoffs_beyond_the_vocabulary_are_a_data_error() -> None:
    with pytest.raises(DataError, match=r"pydoc has 1,\d+ words; every cutoff must lie below, got \(500, 9000\)"):
        Language(cutoffs="500,9000").load("pydoc", "default", None, 0)


def test_a_text_shorter_than_one_block_is_a_data_error() -> None:
    with pytest.raises(DataError, match="fewer than one block of context 1,000,000"):
        Language(context=1_000_000).load("pydoc", "default", None, 0)


@pytest.mark.parametrize("options", [{}, {"cutoffs": "200,800"}])
def test_the_task_learns_the_documentation_text(options: dict[str, Any]) -> None:
    task = Language(depth=2, width=32, heads=2, ffn=64, context=32, context_window=0, lr=0.01, warmup=5, **options)
    task.load("pydoc", "default", None, 0)
    model = tiny.built(task, "neutreno")
    optimizer = task.optimizer(model)
    for draws in Order(task.samples(), 16, 0, start=0, stop=80):
        optimizer.zero_grad()
        task.loss(model, task.batch(draws)).backward()
        optimizer.step()
    model.eval()
    with torch.no_grad():
        values = task.evaluate(model, "val", lambda: None)
    assert values["perplexity"] < 115  # the unigram floor is 131


@pytest.mark.heavy
def test_dropout_resumes_in_the_middle_of_its_random_stream(tmp_path: Path) -> None:
    arguments = tiny.spec("language").arguments | {"dropout": 0.2, "attention_dropout": 0.1, "validate_every": 4}
    job = tiny.spec("language", "attnscale", steps=12, arguments=arguments)
    code, log, expected = tiny.finish(tiny.place(tmp_path / "undisturbed", job))
    assert code == 0 and expected is not None, log

    folder = tiny.place(tmp_path / "killed", job, checkpoint_s=0.0)
    process = tiny.start(folder)
    tiny.wait_for(lambda: (folder.checkpoints / "step-5.pt.sha256").exists(), process)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()

    tiny.place(folder.root, job, checkpoint_s=0.0)
    code, log, result = tiny.finish(folder)
    assert code == 0 and result is not None, log
    resumed = [event["step"] for _, event in read_events(folder.attempt(2).events) if event["kind"] == "resumed"]
    assert resumed and resumed[0] >= 5
    assert json.dumps(result.numbers) == json.dumps(expected.numbers)


def test_the_plug_of_a_job_reaches_every_layer() -> None:
    task = tiny.loaded("language")
    job = tiny.spec("language", "neutreno", variant_arguments={"lam": 0.4})
    model = task.build(plug(job, registry.variant("neutreno")))
    blocks = task.blocks(model)["decoder"]
    assert [block.variant.lam for block in blocks] == [0.4] * 3  # type: ignore[union-attr]
