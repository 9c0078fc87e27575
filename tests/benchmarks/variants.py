"""Step time and peak memory of every variant over softmax in whole models: `python -m tests.benchmarks.variants`.

DeiT-tiny at 224 pixels (197 tokens) and the decoder at 2,048 tokens, forward, backward and AdamW.
Goal: one-call variants at most 1.05 in both.
"""

import functools
from collections.abc import Callable

import torch
from torch import nn

from jobs import registry
from jobs.hosts import deit, lm
from jobs.training.run import plug
from tests.benchmarks.measure import peak_bytes, ratio, table, turns
from tests.jobs.tiny import spec

ROUNDS = 9
Step = Callable[[], None]
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


def vision(variant: str) -> Step:
    """A training step of DeiT-tiny on four images."""
    torch.manual_seed(0)
    make = plug(spec("graph", variant), registry.variant(variant))
    model = deit.create("deit_tiny_patch16_224", make, {}).to(DEVICE)
    images = torch.randn(4, 3, 224, 224, device=DEVICE)
    return step(model, lambda: model(images)[0].logsumexp(-1).mean())


def language(variant: str) -> Step:
    """A training step of a four-layer decoder on one sequence of 2,048 words."""
    torch.manual_seed(0)
    make = plug(spec("graph", variant), registry.variant(variant))
    shape = lm.Shape(vocabulary=1000, context=2048, depth=4, width=256, heads=4, ffn=1024)
    model = lm.LanguageModel(shape, make).to(DEVICE)
    words = torch.randint(4, 1000, (1, 2049), device=DEVICE)
    return step(model, lambda: model(words[:, :-1], words[:, 1:])[0].mean())


def step(model: nn.Module, loss: Callable[[], torch.Tensor]) -> Step:
    """Forward, backward and update."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)

    def run() -> None:
        optimizer.zero_grad(set_to_none=True)
        loss().backward()
        optimizer.step()

    return run


def twice(host: Callable[[str], Step], variant: str) -> None:
    """What the memory of a fresh process is measured on."""
    run = host(variant)
    run()
    run()


def main() -> None:
    names = ["softmax", *(name for name in registry.variant_names() if name != "softmax")]
    for title, host in (("DeiT-tiny, 197 tokens", vision), ("Decoder, 2,048 tokens, causal", language)):
        seconds = turns({name: host(name) for name in names}, rounds=ROUNDS)
        memory = {name: peak_bytes(functools.partial(twice, host), name) for name in names}
        rows = [
            (name, f"{ratio(seconds, name, 'softmax'):.2f}", f"{memory[name] / memory['softmax']:.2f}")
            for name in names
        ]
        print(table(f"{title}, float32", ("variant", "step time / softmax", "peak memory / softmax"), rows), flush=True)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
