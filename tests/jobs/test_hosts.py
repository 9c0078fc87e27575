"""What every host owes its variants, checked on the tiny setting of each task."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from jobs import registry
from jobs.api import Layer, Smoothing, Task, Variant
from jobs.contract import read_events
from jobs.errors import Skipped, VariantError
from jobs.metrics.smoothness import profile
from tests.jobs import tiny

HOSTS = sorted(tiny.HOSTS)
EXAMPLES = ("softmax", "neutreno", "featscale", "layerscale", "contranorm", "jumping_knowledge")
"""Variants that between them use every hook: what each host is tried with; all of them for gradients in heavy runs."""
VARIANTS = [
    name if name in EXAMPLES else pytest.param(name, marks=pytest.mark.heavy) for name in registry.variant_names()
]
LIGHT = [host for host in HOSTS if not host.startswith("graph ")]
COMPILED = [
    *((host, "aot_eager") for host in LIGHT),
    *(pytest.param(host, "aot_eager", marks=pytest.mark.heavy) for host in HOSTS if host not in LIGHT),
    ("language", "inductor"),
]
"""Hosts and compilers; further bodies of the graph task are left to heavy runs."""


def test_every_task_has_a_tiny_setting() -> None:
    assert registry.task_names() == sorted(tiny.SETTINGS)


def built_or_skipped(task: Task, variant: str, **arguments: Any) -> nn.Module:
    try:
        return tiny.built(task, variant, **arguments)
    except Skipped as reason:
        pytest.skip(str(reason))


class Spy(Variant):
    """Writes down which hook was called in which layer."""

    seen: list[tuple[str, int, int]] = []

    def operator(self, a: Smoothing) -> Smoothing:
        self.seen.append(("operator", self.layer.index, self.layer.depth))
        return a

    def mix(self, a: Smoothing, v: Tensor) -> Tensor:
        self.seen.append(("mix", self.layer.index, self.layer.depth))
        return a(v)

    def refine(self, y: Tensor, a: Smoothing) -> Tensor:
        self.seen.append(("refine", self.layer.index, self.layer.depth))
        return y

    def leave(self, y: Tensor, x: Tensor, memory: dict[str, Tensor]) -> Tensor:
        self.seen.append(("leave", self.layer.index, self.layer.depth))
        return y

    def penalty(self, x: Tensor) -> Tensor:
        self.seen.append(("penalty", self.layer.index, self.layer.depth))
        return x.new_tensor(100.0)


@pytest.mark.parametrize("host", HOSTS)
def test_each_hook_runs_once_per_layer_in_order(host: str) -> None:
    task = tiny.loaded(host)
    model = tiny.built(task, Spy)
    Spy.seen.clear()
    task.loss(model, tiny.draws(task, host))
    stacks = [len(blocks) for blocks in task.blocks(model).values()]
    hooks = ("operator", "mix", "refine", "leave", "penalty")
    assert Spy.seen == [(hook, layer, depth) for depth in stacks for layer in range(depth) for hook in hooks]


@pytest.mark.parametrize("host", HOSTS)
def test_penalties_are_added_to_the_loss(host: str) -> None:
    task = tiny.loaded(host)
    batch = tiny.draws(task, host)
    plain, _ = tiny.gradients(task, tiny.built(task, "softmax"), batch)
    model = tiny.built(task, Spy)
    penalised, _ = tiny.gradients(task, model, batch)
    layers = sum(len(blocks) for blocks in task.blocks(model).values())
    assert penalised - plain == pytest.approx(100 * layers, rel=1e-4)


class Operands(Variant):
    """Asserts the shapes that the interface promises."""

    def mix(self, a: Smoothing, v: Tensor) -> Tensor:
        heads, width = self.layer.heads, self.layer.width
        assert v.shape[-3] == heads and v.shape[-1] * heads == width
        assert a.x.shape[-3:] == (1, v.shape[-2], width) or (v.ndim == 3 and a.x.shape == v.shape)
        assert a.consensus(v).shape[-1] == v.shape[-1]
        return a(v)

    def refine(self, y: Tensor, a: Smoothing) -> Tensor:
        assert y.shape[-3] == 1 and y.shape[-1] == self.layer.width
        return y


@pytest.mark.parametrize("host", HOSTS)
def test_values_and_outputs_have_the_promised_shapes(host: str) -> None:
    task = tiny.loaded(host)
    tiny.gradients(task, tiny.built(task, Operands), tiny.draws(task, host))


@pytest.mark.parametrize("variant", EXAMPLES)
@pytest.mark.parametrize("host", HOSTS)
def test_the_same_seed_gives_the_same_host_weights(host: str, variant: str) -> None:
    task = tiny.loaded(host)
    baseline = tiny.built(task, "softmax").state_dict()
    weights = built_or_skipped(task, variant).state_dict()
    free = "q" if registry.variant(variant).begin is not Variant.begin else "none"  # it sets the queries itself
    assert all(free in name or torch.equal(weights[name], value) for name, value in baseline.items())


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("host", HOSTS)
def test_every_parameter_receives_a_gradient(host: str, variant: str) -> None:
    task = tiny.loaded(host)
    _, found = tiny.gradients(task, built_or_skipped(task, variant), tiny.draws(task, host))
    missing = [name for name, gradient in found.items() if gradient is None or not gradient.isfinite().all()]
    assert missing == []


@pytest.mark.parametrize("variant", EXAMPLES)
@pytest.mark.parametrize("host", HOSTS)
def test_neutral_arguments_give_the_baseline(host: str, variant: str) -> None:
    neutral = registry.variant(variant).neutral
    if neutral is None:
        pytest.skip(f"{variant} has no neutral arguments")
    task = tiny.loaded(host)
    batch = tiny.draws(task, host)
    loss, found = tiny.gradients(task, built_or_skipped(task, variant, **neutral), batch)
    expected, gradients = tiny.gradients(task, tiny.built(task, "softmax"), batch)
    torch.testing.assert_close(loss, expected, rtol=1e-5, atol=1e-6)
    for name, gradient in gradients.items():
        torch.testing.assert_close(found[name], gradient, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("host", HOSTS)
def test_nothing_leaks_from_one_batch_into_the_next(host: str) -> None:
    task = tiny.loaded(host)
    first, second = tiny.draws(task, host), tiny.draws(task, host, epoch=1)
    fresh, seasoned = tiny.built(task, "neutreno"), tiny.built(task, "neutreno")
    tiny.gradients(task, seasoned, first)
    expected, gradients = tiny.gradients(task, fresh, second)
    loss, found = tiny.gradients(task, seasoned, second)
    assert loss == expected
    assert all(torch.equal(found[name], gradient) for name, gradient in gradients.items())  # type: ignore[arg-type]


@pytest.mark.parametrize("host", HOSTS)
def test_a_model_can_be_copied_after_use(host: str) -> None:
    task = tiny.loaded(host)
    batch = tiny.draws(task, host)
    model = tiny.built(task, "neutreno")
    expected, _ = tiny.gradients(task, model, batch)
    model.zero_grad()
    loss, _ = tiny.gradients(task, copy.deepcopy(model), batch)
    assert loss == expected
    assert all(parameter.grad is None for parameter in model.parameters())


@pytest.mark.parametrize("host", HOSTS)
def test_a_loss_in_bfloat16_is_near_the_one_in_float32(host: str) -> None:
    task = tiny.loaded(host)
    batch = tiny.draws(task, host)
    model = tiny.built(task, "centered")
    expected, _ = tiny.gradients(task, model, batch)
    with torch.autocast("cpu", torch.bfloat16):
        loss, found = tiny.gradients(task, model, batch)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, expected, rtol=0.05, atol=0.05)
    assert all(gradient is not None and gradient.isfinite().all() for gradient in found.values())


@pytest.mark.parametrize("variant", ["neutreno", "value_residual", "centered"])
@pytest.mark.parametrize("host", HOSTS)
def test_activation_checkpointing_changes_no_gradient(host: str, variant: str) -> None:
    task = tiny.loaded(host)
    batch = tiny.draws(task, host)
    model = tiny.built(task, variant)
    expected, gradients = tiny.gradients(task, model, batch)
    gradients = {name: gradient.clone() for name, gradient in gradients.items() if gradient is not None}
    stacks = [module for module in model.modules() if type(module).__name__ == "Stack"]
    assert len(stacks) == len(task.blocks(model))
    for stack in stacks:
        stack.checkpointing = True
    loss, found = tiny.gradients(task, model, batch)
    assert loss == expected
    for name, gradient in gradients.items():
        torch.testing.assert_close(found[name], gradient, rtol=1e-6, atol=1e-7)


@pytest.mark.slow
@pytest.mark.parametrize(("host", "backend"), COMPILED)
def test_a_compiled_model_gives_the_same_gradients(host: str, backend: str) -> None:
    """Every host is captured, forward and backward; generating machine code takes long and is tried on one."""
    task = tiny.loaded(host)
    batch = tiny.draws(task, host)
    model = tiny.built(task, "neutreno")
    expected, gradients = tiny.gradients(task, model, batch)
    gradients = {name: gradient.clone() for name, gradient in gradients.items() if gradient is not None}
    model.zero_grad()
    torch._dynamo.reset()
    compiled = torch.compile(model, backend=backend)
    assert isinstance(compiled, nn.Module)
    loss, _ = tiny.gradients(task, compiled, batch)
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] > 0
    torch.testing.assert_close(loss, expected, rtol=1e-4, atol=1e-5)
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(parameter.grad, gradients[name], rtol=1e-3, atol=1e-4)


@pytest.mark.heavy
@pytest.mark.parametrize("host", [*LIGHT, "graph sampled"])
def test_two_processes_train_as_one_does(host: str, tmp_path: Path) -> None:
    curves = []
    for processes in (1, 2):
        folder = tiny.place(tmp_path / str(processes), tiny.spec(host, "neutreno"), processes=processes)
        code, log, _ = tiny.finish(folder, processes=processes)
        assert code == 0, log
        events = [event for _, event in read_events(folder.attempt(1).events)]
        curves.append([event["values"]["train/loss"] for event in events if "train/loss" in event.get("values", {})])
    assert len(curves[0]) == 6
    assert curves[1] == pytest.approx(curves[0], rel=1e-5)


@pytest.mark.parametrize("host", HOSTS)
def test_every_layer_is_measured_at_both_sites(host: str) -> None:
    task = tiny.loaded(host)
    model = tiny.built(task, "neutreno")
    rows = profile(task, model)
    places = [(row["stack"], row["site"], row["layer"]) for row in rows]
    stacks = {stack: len(blocks) for stack, blocks in task.blocks(model).items()}
    wanted = [
        (stack, site, i) for stack in sorted(stacks) for site in ("block", "branch") for i in range(stacks[stack])
    ]
    assert places == wanted
    assert json.dumps(rows, allow_nan=False)


class Later(Variant):
    """Keeps a tensor that it does not declare."""

    def mix(self, a: Smoothing, v: Tensor) -> Tensor:
        a.memory["secret"] = v
        return a(v)


@pytest.mark.parametrize("host", HOSTS)
def test_undeclared_memory_is_refused(host: str) -> None:
    task = tiny.loaded(host)
    model = tiny.built(task, Later)
    with pytest.raises(VariantError, match=r"stores 'secret' in a\.memory without declaring it"):
        task.loss(model, tiny.draws(task, host))


class Short(Variant):
    """Returns one token too few."""

    def mix(self, a: Smoothing, v: Tensor) -> Tensor:
        return a(v)[..., 1:, :]


@pytest.mark.parametrize("host", HOSTS)
def test_a_wrong_shape_is_refused_with_both_shapes(host: str) -> None:
    task = tiny.loaded(host)
    model = tiny.built(task, Short)
    with pytest.raises(VariantError, match=r"Short.mix returned \(.*must return the shape it was given"):
        task.loss(model, tiny.draws(task, host))


def test_a_layer_is_frozen() -> None:
    layer = Layer(0, 1, 8, 2, causal=False)
    with pytest.raises(AttributeError):
        layer.index = 1  # type: ignore[misc]
