"""Background checkpoints, the average of the weights, energy counters, operation counts."""

import threading
from pathlib import Path

import pytest
import torch
from torch import nn

from jobs.training.average import Average
from jobs.training.cost import step_flops
from jobs.training.energy import Meter, counters
from jobs.training.writer import Writer, snapshot
from tests.jobs import tiny


def test_training_goes_on_while_a_checkpoint_is_written() -> None:
    release, written = threading.Event(), threading.Event()
    writer = Writer()
    writer.submit(lambda: (release.wait(10), written.set())[1])  # type: ignore[func-returns-value]
    assert not written.is_set()
    release.set()
    writer.wait()
    assert written.is_set()


def test_a_second_checkpoint_waits_for_the_first() -> None:
    order: list[int] = []
    writer = Writer()
    for number in range(5):
        writer.submit(lambda number=number: order.append(number))  # type: ignore[misc]
    writer.wait()
    assert order == [0, 1, 2, 3, 4]


def test_a_failed_write_comes_up_where_training_is() -> None:
    def full() -> None:
        raise OSError(28, "No space left on device")

    writer = Writer()
    writer.submit(full)
    with pytest.raises(OSError, match="No space left"):
        writer.wait()
    writer.wait()


def test_a_snapshot_does_not_follow_the_weights_and_keeps_ties() -> None:
    model = nn.Sequential(nn.Linear(3, 3, bias=False), nn.Linear(3, 3, bias=False))
    model[1].weight = model[0].weight
    taken = snapshot(model.state_dict())
    before = model[0].weight.detach().clone()
    with torch.no_grad():
        model[0].weight.add_(1)
    assert torch.equal(taken["0.weight"], before)
    assert taken["0.weight"] is taken["1.weight"]


def test_the_average_is_the_looped_formula() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    average = Average(model, 0.9)
    expected = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
    for _ in range(3):
        model(torch.randn(4, 2))
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(torch.randn_like(parameter))
        average.update()
        for name, tensor in model.state_dict().items():
            counts = not tensor.is_floating_point()
            expected[name] = tensor.clone() if counts else 0.9 * expected[name] + 0.1 * tensor
    for name, tensor in average.values.items():
        torch.testing.assert_close(tensor, expected[name])


def test_averaged_weights_are_in_place_inside_the_block_only() -> None:
    model = nn.Linear(2, 2)
    average = Average(model, 0.5)
    with torch.no_grad():
        model.weight.add_(1)
    raw, averaged = model.weight.detach().clone(), average.values["weight"].clone()
    with average.in_place():
        assert torch.equal(model.weight, averaged)
    assert torch.equal(model.weight, raw) and torch.equal(average.values["weight"], averaged)


def package(folder: Path, microjoules: int) -> None:
    zone = folder / "intel-rapl:0"
    zone.mkdir(exist_ok=True)
    (zone / "energy_uj").write_text(str(microjoules))
    (zone / "max_energy_range_uj").write_text("5000000")


def test_energy_is_counted_from_the_start_and_across_a_wrap(tmp_path: Path) -> None:
    package(tmp_path, 4_000_000)
    meter = Meter(counters(torch.device("cpu"), tmp_path))
    package(tmp_path, 4_500_000)
    assert meter.joules() == pytest.approx(0.5)
    package(tmp_path, 1_000_000)
    assert meter.joules() == pytest.approx(2.0)


def test_without_a_counter_energy_is_unknown_not_zero(tmp_path: Path) -> None:
    assert Meter(counters(torch.device("cpu"), tmp_path)).joules() is None


def test_operations_are_counted_with_fused_attention_and_without_a_draw() -> None:
    """Language: 4 blocks of 16 tokens, 3 layers, width 8, hidden 16; a forward pass by hand, times three."""
    task = tiny.loaded("language")
    model = tiny.built(task, "softmax")
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    counted = step_flops(task, model, 4)
    assert torch.equal(torch.rand(1), expected)
    words = model.decoder.embed_tokens.num_embeddings  # type: ignore[union-attr, operator]
    token = 3 * (2 * 4 * 8 * 8 + 2 * 2 * 8 * 16 + 2 * 2 * 16 * 8) + 2 * 8 * words
    assert counted == 3 * 4 * 16 * token
