"""DeepSpeed's stages against PyTorch's own optimizer, in one process; two processes are in tests/jobs/test_gangs.py."""

import copy
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, distributed, nn

from jobs.training.engine import Engine, Torch
from jobs.training.processes import Processes
from tests.jobs.tiny import spec

STAGES = ("zero1", "zero2", "zero3")
CLIP = 0.5


@pytest.fixture(scope="module")
def processes() -> Iterator[Processes]:
    found = Processes()
    yield found
    if distributed.is_initialized():
        distributed.destroy_process_group()


class Tied(nn.Module):
    """Two matrices of odd sizes, one of them used twice, and a bias."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.last = nn.Linear(5, 7), nn.Linear(7, 5), nn.Linear(5, 7, bias=False)
        self.last.weight = self.first.weight

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.second(self.first(x).tanh()))


def made(engine: str, processes: Processes, model: nn.Module) -> Engine:
    from jobs.training.zero import Zero

    biases = [p for p in model.parameters() if p.ndim == 1]
    matrices = [p for p in model.parameters() if p.ndim > 1]
    groups = [{"params": matrices, "weight_decay": 0.1}, {"params": biases, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=0.01)
    maker: Any = Torch if engine == "ddp" else Zero
    found: Engine = maker(model, optimizer, spec=spec("language", engine=engine), processes=processes, clip=CLIP)
    return found


def train(engine: Engine, steps: int, *, start: int = 0) -> list[float]:
    """Every step has two micro-batches of unequal weight."""
    losses = []
    for step in range(start, start + steps):
        x = torch.randn(6, 5, generator=torch.Generator().manual_seed(step))
        costs = []
        for part, weight in ((x[:4], 2 / 3), (x[4:], 1 / 3)):

            def cost(module: nn.Module, part: Tensor = part, weight: float = weight) -> Tensor:
                return (module(part) - 1).square().mean() * weight

            costs.append(engine.accumulate(cost, last=weight == 1 / 3))
        engine.update()
        losses.append(float(sum(costs)))
    return losses


@pytest.fixture
def model() -> nn.Module:
    torch.manual_seed(0)
    return Tied()


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_trains_as_torch_does(stage: str, processes: Processes, model: nn.Module) -> None:
    plain, divided = made("ddp", processes, copy.deepcopy(model)), made(stage, processes, copy.deepcopy(model))
    assert train(divided, 5) == pytest.approx(train(plain, 5), rel=1e-5)
    expected, found = plain.weights(), divided.weights()
    assert expected.keys() == found.keys()
    for name, tensor in expected.items():
        torch.testing.assert_close(found[name].detach(), tensor, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("stage", STAGES)
def test_its_state_is_torchs_own_and_goes_back_to_any_engine(
    stage: str, processes: Processes, model: nn.Module
) -> None:
    plain, divided = made("ddp", processes, copy.deepcopy(model)), made(stage, processes, copy.deepcopy(model))
    train(plain, 3)
    train(divided, 3)
    expected, found = plain.state(), divided.state()
    assert [group["params"] for group in found["param_groups"]] == [g["params"] for g in expected["param_groups"]]
    for index, entry in expected["state"].items():
        for name, value in entry.items():
            torch.testing.assert_close(found["state"][index][name], value, rtol=1e-5, atol=1e-7)
    rest = train(plain, 3, start=3)
    for engine in ("ddp", *STAGES):
        other = copy.deepcopy(model)
        other.load_state_dict({name: tensor.detach().clone() for name, tensor in divided.weights().items()})
        resumed = made(engine, processes, other)
        resumed.restore(copy.deepcopy(found))
        assert train(resumed, 3, start=3) == pytest.approx(rest, rel=1e-5)


@pytest.mark.parametrize("stage", STAGES)
def test_weights_can_be_given_back_after_training(stage: str, processes: Processes, model: nn.Module) -> None:
    start = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    engine = made(stage, processes, model)
    train(engine, 2)
    engine.adopt(start)
    for name, tensor in engine.weights().items():
        assert torch.equal(tensor, start[name])
    x = torch.ones(2, 5)
    fresh = Tied()
    fresh.load_state_dict(start)
    assert torch.equal(model(x), fresh(x))
