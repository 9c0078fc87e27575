"""The classification task: batches, schedule, decay, metrics, and jobs that are killed and resumed."""

import dataclasses
import math
import os
import random
import signal
from pathlib import Path
from typing import Any

import numpy
import pytest
import torch
from timm.loss import LabelSmoothingCrossEntropy, SoftTargetCrossEntropy
from torch import Tensor, nn

from jobs import registry
from jobs.api import Variant
from jobs.contract import EXIT_PREEMPTED, JobFolder, Result, read_events
from jobs.errors import DataError, JobError
from jobs.hosts.deit import DeiT
from jobs.portion import Portion
from jobs.randomness import restore, seed_all, state
from jobs.tasks.classification import Classification
from tests.jobs import tiny

SMALL: dict[str, Any] = {"depth": 2, "width": 8, "heads": 2}
AUGMENTED: dict[str, Any] = {"train_area": 0.5, "erasing": 0.5, "mixup": 0.8, "cutmix": 1.0, "label_smoothing": 0.1}


def task(seed: int = 0, **arguments: Any) -> Classification:
    found = Classification(**SMALL | arguments)
    found.load("digits", "default", None, seed)
    return found


def model_of(found: Classification, variant: type[Variant] = Variant) -> nn.Module:
    seed_all(0, "weights")
    return found.build(variant)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"model": "deit_tinny_patch16_224"}, "timm knows no model 'deit_tinny_patch16_224'"),
        ({"image_size": 30, "patch_size": 4}, "image_size must be a multiple of patch_size, got 30 and 4"),
        ({"width": 65}, "width must be a multiple of heads, got 65 and 4"),
        ({"depth": -1}, r"depth must be >= 0 \(0: the model's own\), got -1"),
        ({"drop_path": 1.0}, r"drop_path must be in \[0, 1\), got 1.0"),
        ({"erasing": -0.1}, r"erasing must be in \[0, 1\), got -0.1"),
        ({"average": 1.0}, r"average must be in \[0, 1\), got 1.0"),
        ({"mixup": -1.0}, "mixup must be >= 0, got -1.0"),
        ({"cutmix": math.nan}, "cutmix must be >= 0, got nan"),
        ({"repeats": 0}, "repeats must be >= 1, got 0"),
        ({"rand_augment": "m9"}, "timm understands no rand_augment 'm9'"),
        ({"model": "resnet18"}, "resnet18 is none of timm's DeiTs and plain ViTs"),
        ({"train_area": 0.0}, r"train_area must be in \(0, 1\], got 0.0"),
        ({"test_side": 1.5}, r"test_side must be in \(0, 1\], got 1.5"),
        ({"folder": "/etc"}, "folder must be a path below the data root, got '/etc'"),
        ({"folder": "a/../../b"}, "folder must be a path below the data root"),
    ],
)
def test_bad_arguments_are_refused_with_the_value_and_what_is_allowed(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Classification(**arguments)


def test_a_sample_depends_on_seed_epoch_and_index_only() -> None:
    found = task(train_area=0.5, image_size=32)
    alone = found.batch([(1, 7)])[0][0]
    torch.manual_seed(99)
    among = found.batch([(1, 3), (1, 7), (2, 7)])[0]
    assert torch.equal(among[1], alone)
    assert not torch.equal(among[2], alone)
    others = [task(seed, train_area=0.5, image_size=32).batch([(1, 7)])[0][0] for seed in range(1, 4)]
    assert not all(torch.equal(other, alone) for other in others)


def drawn() -> list[float]:
    """The next numbers of the global streams, which are put back."""
    before = state()
    found = [random.random(), numpy.random.rand(), torch.rand(()).item()]
    restore(before)
    return found


def test_a_batch_leaves_the_global_random_streams_alone() -> None:
    found = task(**AUGMENTED)
    before = drawn()
    found.batch([(0, index) for index in range(4)])
    assert drawn() == before


def test_a_mixture_depends_on_the_seed_and_all_of_its_draws() -> None:
    found, draws = task(mixup=0.8, cutmix=1.0), [(0, index) for index in range(6)]
    pictures, soft = found.batch(draws)
    assert soft.shape == (6, 10) and soft.dtype == torch.float32
    torch.manual_seed(99)
    assert all(map(torch.equal, found.batch(draws), (pictures, soft)))
    last = [*draws[:5], (1, 5)]  # the same picture in another epoch: only the mixture's own draws differ
    assert not torch.equal(found.batch(last)[1], soft)
    assert not torch.equal(task(1, mixup=0.8, cutmix=1.0).batch(draws)[1], soft)


def test_an_odd_number_cannot_be_mixed() -> None:
    with pytest.raises(JobError, match=r"pair the samples of a forward pass, got 3; choose global_batch"):
        task(mixup=0.8).batch([(0, index) for index in range(3)])


def test_the_loss_on_a_mixture_is_timms() -> None:
    found = task(mixup=0.8, label_smoothing=0.1)
    batch, model = found.batch([(0, index) for index in range(8)]), model_of(found)
    torch.testing.assert_close(found.loss(model, batch), SoftTargetCrossEntropy()(model(batch[0])[0], batch[1]))


def test_the_smoothed_loss_is_timms() -> None:
    found = task(label_smoothing=0.1)
    batch, model = found.batch([(0, index) for index in range(8)]), model_of(found)
    torch.testing.assert_close(found.loss(model, batch), LabelSmoothingCrossEntropy(0.1)(model(batch[0])[0], batch[1]))


def test_the_rate_by_epoch_is_set_once_per_epoch_and_not_scaled_at_its_ends() -> None:
    found = task(schedule="epochs", lr=5e-4, scale_lr=True, warmup_epochs=2)
    found.global_batch = 1024 // 4
    length, peak = 1197 // 256, 2.5e-4
    rates = [peak * found.rate(step, 10 * length) for step in range(10 * length)]
    assert rates[: 2 * length] == pytest.approx([1e-6] * 2 * length)
    assert all(len(set(rates[start : start + length])) == 1 for start in range(0, 10 * length, length))
    assert rates[-1] == pytest.approx(1e-5 + (peak - 1e-5) * (1 + math.cos(math.pi * 0.8)) / 2)


def test_the_rate_rises_to_one_and_falls_along_a_cosine() -> None:
    found = task(warmup=0.1)
    rates = [found.rate(step, 100) for step in range(100)]
    assert rates[:10] == pytest.approx([0.1 * step for step in range(1, 11)])
    assert rates[10] == 1.0 and rates[55] == pytest.approx(0.505)
    assert rates[99] == pytest.approx(0.01 + 0.99 * (1 + math.cos(math.pi * 89 / 90)) / 2)
    assert sorted(rates[10:], reverse=True) == rates[10:]


def test_only_matrices_decay() -> None:
    found = task(weight_decay=0.3)
    model = model_of(found, registry.variant("attnscale"))
    decays = {id(p): group["weight_decay"] for group in found.optimizer(model).param_groups for p in group["params"]}
    decayed = {name for name, parameter in model.named_parameters() if decays[id(parameter)] == 0.3}
    matrices = {f"blocks.{i}.{part}.weight" for i in (0, 1) for part in ("attn.qkv", "attn.proj", "mlp.fc1", "mlp.fc2")}
    assert decayed == matrices | {"head.weight", "patch_embed.proj.weight"}


def test_the_learning_rate_scales_with_the_global_batch_on_request() -> None:
    found = task(lr=0.002, scale_lr=True)
    found.global_batch = 1024
    assert found.optimizer(model_of(found)).param_groups[0]["lr"] == pytest.approx(0.004)
    found = task(lr=0.002)
    found.global_batch = 1024
    assert found.optimizer(model_of(found)).param_groups[0]["lr"] == 0.002


def test_zero_sizes_are_the_models_own() -> None:
    found = task(width=0, depth=0, heads=0, image_size=224, patch_size=16)
    model = model_of(found)
    own = sum(parameter.numel() for parameter in model.parameters())
    assert own == 5_717_416 - 2 * 256 * 192 - 990 * 193  # one channel and ten classes in place of three and 1,000


def test_the_initial_positions_have_the_asked_spread() -> None:
    spread = model_of(task(position_std=0.5)).get_parameter("pos_embed").std().item()
    assert spread == pytest.approx(0.5, rel=0.15)


class Fixed(nn.Module):
    """Answers class 3 first, then 1, 4, 5, 9, 2, 6, 8, 7, 0, whatever it is shown."""

    def __init__(self) -> None:
        super().__init__()
        self.order = nn.Parameter(torch.tensor([0.0, 8, 4, 9, 7, 6, 3, 1, 2, 5]))

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        return self.order.expand(len(pictures), 10), pictures.new_zeros(())


def test_metrics_are_those_counted_by_hand_over_the_whole_part() -> None:
    found, beats = task(), []
    labels = found.batch([(0, index) for index in range(1197)])[1]
    assert len(labels) == 1197
    values = found.evaluate(Fixed(), "test", lambda: beats.append(1))
    labels = torch.tensor([found._pictures.plain("test", index)[1] for index in range(450)])
    assert values["top1"] == pytest.approx(100 * (labels == 3).double().mean().item())
    assert values["top5"] == pytest.approx(100 * torch.isin(labels, torch.tensor([3, 1, 4, 5, 9])).double().mean())
    chances = Fixed().order.double().softmax(0)
    assert values["loss"] == pytest.approx(-chances[labels].log().mean().item(), rel=1e-5)
    assert len(beats) == 4


@dataclasses.dataclass(frozen=True)
class Noted(Portion):
    """A share whose sums are written down in place of added up."""

    sums: list[Tensor] = dataclasses.field(default_factory=list)

    def total(self, values: Tensor) -> Tensor:
        self.sums.append(values)
        return values


def test_shares_add_up_to_the_whole_with_no_sample_counted_twice() -> None:
    found, sums = task(), []
    model = model_of(found).eval()
    with torch.no_grad():
        whole = found.evaluate(model, "test", lambda: None)
        for rank in range(3):
            found.portion = Noted(rank, 3)
            found.evaluate(model, "test", lambda: None)
            sums += found.portion.sums
    assert len(sums) == 3 and all(part[1] > 0 for part in sums)
    assert sum(sums).tolist() == pytest.approx([whole["top1"] * 4.5, whole["top5"] * 4.5, whole["loss"] * 450])


def test_label_smoothing_acts_in_training_only() -> None:
    smooth, plain = task(label_smoothing=0.5), task()
    model = model_of(plain).eval()
    batch = plain.batch([(0, index) for index in range(8)])
    assert smooth.loss(model, batch) != plain.loss(model, batch)
    with torch.no_grad():
        results = [found.evaluate(model, "val", lambda: None) for found in (smooth, plain)]
    assert results[0] == results[1]


def test_an_upstream_checkpoint_of_another_image_size_is_taken_over(tmp_path: Path) -> None:
    small, large = task(), task(image_size=32)
    source, target = model_of(small), large.build(Variant)
    torch.save({"step": 1, "model": source.state_dict()}, tmp_path / "upstream.pt")
    large.initialise(target, tmp_path / "upstream.pt")
    assert isinstance(target, DeiT) and target.pos_embed.shape[1] == 65
    assert torch.equal(target.get_parameter("head.weight"), source.get_parameter("head.weight"))


def test_an_upstream_checkpoint_of_another_network_is_refused(tmp_path: Path) -> None:
    found = task()
    torch.save({"step": 1, "model": model_of(task(depth=3)).state_dict()}, tmp_path / "upstream.pt")
    with pytest.raises(DataError, match="The upstream checkpoint does not fit this network"):
        found.initialise(model_of(found), tmp_path / "upstream.pt")


ARGUMENTS = SMALL | AUGMENTED | {"drop_path": 0.3, "average": 0.9, "repeats": 3, "evaluate_every": 4}
JOB = tiny.spec("classification", "value_residual", arguments=ARGUMENTS, steps=12, global_batch=8)


def finished(folder: JobFolder) -> Result:
    code, log, result = tiny.finish(folder)
    assert code == 0 and result is not None, log
    return result


@pytest.mark.heavy
def test_a_preempted_job_exits_75_and_resumes_to_the_same_numbers(tmp_path: Path) -> None:
    undisturbed = finished(tiny.place(tmp_path / "undisturbed", JOB))
    folder = tiny.place(tmp_path / "stopped", JOB, checkpoint_s=0.0)
    process = tiny.start(folder)
    tiny.wait_for(lambda: any(folder.checkpoints.glob("step-*.pt.sha256")), process)
    os.killpg(process.pid, signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == EXIT_PREEMPTED and not folder.attempt(1).output.exists()
    assert finished(tiny.place(folder.root, JOB)).numbers == undisturbed.numbers
    assert "resumed" in [event["kind"] for _, event in read_events(folder.attempt(2).events)]


def test_digits_are_learned_far_above_chance_in_eighty_steps() -> None:
    found = Classification(depth=2)
    found.load("digits", "default", None, 0)
    model = model_of(found)
    optimizer = found.optimizer(model)
    for step in range(80):
        loss = found.loss(model, found.batch([(0, (32 * step + i) % 1197) for i in range(32)]))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert found.evaluate(model.eval(), "test", lambda: None)["top1"] > 50
