"""Step time and peak memory of every variant over softmax in whole models: `python -m tests.benchmarks.models`.

DeiT-tiny at 224 pixels (197 tokens) and both decoders at 2,048 tokens, on a GPU also at 8,192 and all in bfloat16;
forward, backward and AdamW. Goal: one-call variants at most 1.05 in both.
"""

import functools
import itertools
import statistics
from collections.abc import Callable

import torch
from torch import nn

from jobs import registry
from jobs.api import Layer, Plug
from jobs.hosts import deit, llama, lm
from jobs.hosts.words import LanguageModel
from jobs.training.run import plug
from tests.benchmarks.measure import peak_bytes, ratio, table, turns
from tests.jobs.tiny import spec

ROUNDS = 9
Step = Callable[[], None]
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
CONTEXTS = (2048, 8192) if DEVICE == "cuda" else (2048,)


def vision(variant: str) -> Step:
    """A training step of DeiT-tiny on four images."""
    torch.manual_seed(0)
    make = plug(spec("graph", variant), registry.variant(variant))
    model = deit.create("deit_tiny_patch16_224", make, {}).to(DEVICE)
    images = torch.randn(4, 3, 224, 224, device=DEVICE)
    return step(model, lambda: model(images)[0].logsumexp(-1).mean())


def language(architecture: str, context: int, variant: str) -> Step:
    """A training step of a four-layer decoder on one sequence of `context` words."""
    torch.manual_seed(0)
    make = plug(spec("graph", variant), registry.variant(variant))
    model = _decoder(architecture, context, make).to(DEVICE)
    words = torch.randint(4, 1000, (1, context + 1), device=DEVICE)
    return step(model, lambda: model(words[:, :-1], words[:, 1:])[0].mean())


def _decoder(architecture: str, context: int, make: Plug) -> LanguageModel:
    if architecture == "fairseq":
        shape = lm.Shape(vocabulary=1000, context=context, depth=4, width=256, heads=4, ffn=1024)
        return lm.LanguageModel(shape, make)
    modern = llama.Shape(vocabulary=1000, context=context, depth=4, width=256, heads=4, kv_heads=2, ffn=688)
    return llama.model(modern, make)


def step(model: nn.Module, loss: Callable[[], torch.Tensor]) -> Step:
    """Forward, backward and update."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)

    def run() -> None:
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast(DEVICE, torch.bfloat16, enabled=DEVICE == "cuda"):
            cost = loss()
        cost.backward()
        optimizer.step()

    return run


def twice(host: Callable[[str], Step], variant: str) -> None:
    """What the memory of a fresh process is measured on."""
    run = host(variant)
    run()
    run()


def main() -> None:
    hosts: list[tuple[str, int, Callable[[str], Step]]] = [("DeiT-tiny, 197 tokens", 4 * 197, vision)]
    for architecture, context in itertools.product(("fairseq", "modern"), CONTEXTS):
        title = f"Decoder, {architecture}, {context:,} tokens, causal"
        hosts.append((title, context, functools.partial(language, architecture, context)))
    for title, tokens, host in hosts:
        causal = "causal" in title
        print(compared(title, tokens, host, applicable(heads=4 if causal else 3, causal=causal)), flush=True)


def applicable(*, heads: int, causal: bool) -> list[str]:
    """The variants that have a place in such a transformer, the baseline first."""
    layer = Layer(1, 4, 64 * heads, heads, causal)
    names = [name for name in registry.variant_names() if registry.variant(name).skip(layer) is None]
    return sorted(names, key=lambda name: (name != "softmax", name))


def compared(title: str, tokens: int, host: Callable[[str], Step], names: list[str]) -> str:
    """The table of one model; `tokens` are those of a step."""
    seconds = turns({name: host(name) for name in names}, rounds=ROUNDS)
    memory = {name: peak_bytes(functools.partial(twice, host), name) for name in names}
    rows = [
        (
            name,
            f"{tokens / statistics.median(seconds[name]):,.0f}",
            f"{ratio(seconds, name, 'softmax'):.2f}",
            f"{memory[name] / memory['softmax']:.2f}",
        )
        for name in names
    ]
    precision = "bfloat16" if DEVICE == "cuda" else "float32"
    header = ("variant", "tokens/s", "step time / softmax", "peak memory / softmax")
    return table(f"{title}, {precision}", header, rows)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
