"""What building a variant does to everything around it, and whether an instance can be copied, saved and trained."""

import copy
import functools
import io
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from jobs import randomness
from jobs.api import Task, Variant
from jobs.check import tiny
from jobs.check.subject import Failed, NotApplicable, Subject, scatter
from jobs.errors import Skipped

_QUERIES = ("qkv", "q_proj")
"""In names of the host's weights: those that `Variant.begin` may change."""


def hosts(subject: Subject) -> Mapping[str, tuple[Task, nn.Module]]:
    """Every task in which the variant has a place, on its tiny setting, each with its model.

    Raises:
        NotApplicable: there is none.
    """
    found, reasons = {}, []
    for name in tiny.SETTINGS:
        task = _loaded(name)
        try:
            found[name] = task, tiny.built(task, subject.cls)
        except Skipped as skipped:
            reasons.append(str(skipped))
    if not found:
        raise NotApplicable(reasons[0])
    return found


_loaded = functools.cache(tiny.loaded)
"""Reading the data once is enough: nothing that a check does changes a task."""


def draws(subject: Subject) -> str:
    """Building and evaluating draw no random number: host weights, data order and dropout stay the baseline's."""
    for name, (task, model) in hosts(subject).items():
        baseline = tiny.built(task, Variant)
        expected = _stream()
        tiny.built(task, subject.cls)
        if _stream() != expected:
            raise Failed(f"{name}: building it moves the global random stream; draw from torch, in the constructor")
        task.probe(model.eval())
        if _stream() != expected:
            raise Failed(f"{name}: evaluating it draws random numbers; look at self.training")
        free = _QUERIES if subject.cls.begin is not Variant.begin else ()
        weights = model.state_dict()
        for key, value in baseline.state_dict().items():
            if not any(part in key for part in free) and not torch.equal(weights[key], value):
                raise Failed(f"{name}: the host's weight {key} is not the baseline's of the same seed")
    return "none"


def _stream() -> str:
    """The states of the global random streams, as text."""
    state = randomness.state()
    return repr({name: part.tolist() if isinstance(part, Tensor) else _plain(part) for name, part in state.items()})


def _plain(part: Any) -> Any:
    return [item.tolist() if isinstance(item, Tensor) else item for item in part] if isinstance(part, tuple) else part


def trained(subject: Subject) -> str:
    """Every parameter receives a finite gradient in every task, as training in several processes needs."""
    count = 0
    for name, (task, model) in hosts(subject).items():
        _, gradients = tiny.gradients(task, model, tiny.draws(task, name))
        for key, gradient in gradients.items():
            if gradient is None:
                raise Failed(f"{name}: {key} receives no gradient; several processes would wait for it")
            if not gradient.isfinite().all():
                raise Failed(f"{name}: the gradient of {key} is not finite")
        count = max(count, sum(part.numel() for part in subject.build(_layer(model)).parameters()))
    return f"{count} parameters a layer"


def _layer(model: nn.Module) -> Any:
    return next(part.layer for part in model.modules() if isinstance(part, Variant))


def copies(subject: Subject) -> str:
    """A deep copy made after use, and an instance loaded from the saved state, give the same."""
    for name, (task, model) in hosts(subject).items():
        scatter([part for part in model.modules() if isinstance(part, Variant)])
        batch = tiny.draws(task, name)
        expected, _ = tiny.gradients(task, model, batch)
        loaded = tiny.built(task, subject.cls)
        loaded.load_state_dict(_through_a_file(model.state_dict()))
        model.load_state_dict(loaded.state_dict())
        for how, other in (("a deep copy", copy.deepcopy(model)), ("a loaded state", loaded)):
            found, _ = tiny.gradients(task, other, batch)
            if not torch.equal(found, expected):
                off = (found - expected).abs().item()
                raise Failed(f"{name}: the loss of {how} differs by {off:.2g}; keep state in parameters or buffers")
    return "equal"


def _through_a_file(state: Mapping[str, Tensor]) -> Any:
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    return torch.load(file, weights_only=True)
