"""Every variant's attention over softmax's, and a dense form over the fused one: `python -m tests.benchmarks.variants`.

Forward and backward through one layer's attention between projections, which are not part of it: four heads of 64
channels, 197, 1,024 and 4,096 tokens as in vision, 2,048 causal ones. On a GPU in bfloat16, compiled and not. Goals:
one fused call at most 1.05 of softmax's time, two at most 2.1.
"""

import dataclasses
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from jobs import registry
from jobs.api import Layer, Variant
from jobs.check.checks.numerics import Dense
from jobs.operators.attention import Attention
from jobs.training.cost import operations
from tests.benchmarks.measure import peak_bytes, ratio, table, turns
from tests.benchmarks.models import applicable

HEADS, CHANNELS = 4, 64
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
DTYPE = torch.bfloat16 if DEVICE == "cuda" else torch.float32


@dataclasses.dataclass(frozen=True)
class Setting:
    tokens: int
    causal: bool
    rounds: int

    def __str__(self) -> str:
        return f"{self.tokens:,} tokens{', causal' if self.causal else ''}"


SETTINGS = (Setting(197, False, 31), Setting(1024, False, 15), Setting(4096, False, 3), Setting(2048, True, 7))


class Work:
    """Forward and backward of one variant's layer."""

    def __init__(self, name: str, kind: type[Attention], setting: Setting, *, compiled: bool = False) -> None:
        torch.manual_seed(0)
        layer = Layer(1, 4, HEADS * CHANNELS, HEADS, setting.causal)
        self.variant: Variant = registry.variant(name)(layer).to(DEVICE, DTYPE)
        shape = (4, 1, HEADS, setting.tokens, CHANNELS)
        self.q, self.k, self.v, self.v0 = (part.requires_grad_() for part in torch.randn(shape).to(DEVICE, DTYPE))
        self.kind, self.causal = kind, setting.causal
        self.forward: Callable[[], Tensor] = torch.compile(self._forward) if compiled else self._forward

    def _forward(self) -> Tensor:
        x = self.v0.transpose(1, 2).flatten(2)[:, None]
        memory = {"v0": self.v0} if "v0" in self.variant.keeps else {}
        a = self.kind(self.q, self.k, x=x, memory=memory, causal=self.causal)
        branch = self.variant(a, self.v, lambda mixed: mixed.transpose(1, 2).flatten(2)[:, None])
        handed_on = self.variant.leave(self.variant.feed(self.variant.enter(x)), x, memory)
        return branch.square().sum() + handed_on.sum() + self.variant.penalty(x)

    def __call__(self) -> None:
        self.forward().backward()

    def flops(self) -> int:
        with operations() as counter:
            self._forward()
        return int(counter.get_total_flops())


def once(name: str, setting: Setting) -> None:
    """What the memory of a fresh process is measured on."""
    Work(name, Attention, setting)()


def compared(setting: Setting, *, compiled: bool = False) -> str:
    """The table of one setting."""
    names = applicable(heads=HEADS, causal=setting.causal)
    fused = {name: Work(name, Attention, setting, compiled=compiled) for name in names}
    dense = {f"{name} dense": Work(name, Dense, setting, compiled=compiled) for name in names}
    seconds = turns(fused | dense, rounds=setting.rounds)
    memory = {name: peak_bytes(partial(once, name), setting) for name in names}
    rows = [
        (
            name,
            f"{ratio(seconds, name, 'softmax'):.2f}",
            f"{memory[name] / memory['softmax']:.2f}",
            f"{fused[name].flops() / fused['softmax'].flops():.2f}",
            f"{ratio(seconds, f'{name} dense', name):.1f}" if _fuses(name) else "-",
        )
        for name in names
    ]
    how = f"{str(DTYPE).removeprefix('torch.')}{', compiled' if compiled else ''}"
    header = ("variant", "time / softmax", "peak memory / softmax", "operations / softmax", "dense / fused time")
    return table(f"Attention of a layer, {setting}, {how}", header, rows)


def _fuses(name: str) -> bool:
    """Whether it calls the host's fused kernel, so that a dense form is another one."""
    cls = registry.variant(name)
    return cls.operator is Variant.operator and "dense" not in cls.needs


def main() -> None:
    for setting in SETTINGS:
        for compiled in (False, True) if DEVICE == "cuda" else (False,):
            print(compared(setting, compiled=compiled), flush=True)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
