"""Our classification step over timm's own, on the same network and batch: `python -m tests.benchmarks.classification`.

DeiT-tiny at 224 pixels on mixed pictures with soft labels: forward, loss, backward and AdamW, as timm's train.py does
them and as the job's loop does them, which also looks whether the loss is finite. Goal: a ratio of 1.0 or less for
softmax. On a CPU 8 pictures in float32; on CUDA 256 in bfloat16, compiled, with images per second.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from jobs import registry
from jobs.tasks.classification import Classification
from jobs.training.run import plug
from tests.benchmarks.measure import peak_bytes, ratio, table, turns
from tests.jobs.tiny import spec

NAME = "deit_tiny_patch16_224"
VARIANTS = ("softmax", "neutreno", "centered", "attnscale")
CUDA = torch.cuda.is_available()
DEVICE = "cuda" if CUDA else "cpu"
BATCH = 256 if CUDA else 8
ROUNDS = 30 if CUDA else 9
REPEATS = 10 if CUDA else 1
"""Steps per round."""
Step = Callable[[], None]


class Blank:
    """What the task asks its pictures when it builds a network for them."""

    classes, channels = 1000, 3


def batch() -> tuple[Tensor, Tensor]:
    """Pictures and soft labels on the device."""
    torch.manual_seed(1)
    return torch.randn(BATCH, 3, 224, 224).to(DEVICE), torch.rand(BATCH, 1000).softmax(-1).to(DEVICE)


def prepared(model: nn.Module) -> nn.Module:
    """The model where and as it runs."""
    model = model.to(DEVICE).train()
    return torch.compile(model) if CUDA else model  # type: ignore[return-value]  # a compiled module is a module


def autocast() -> torch.autocast:
    return torch.autocast(DEVICE, torch.bfloat16, enabled=CUDA)


def theirs() -> Step:
    """timm's own step on its own model."""
    import timm  # after jobs, which mends torchvision on CPUs
    from timm.loss import SoftTargetCrossEntropy
    from timm.optim import create_optimizer_v2

    torch.manual_seed(0)
    model = prepared(timm.create_model(NAME, drop_path_rate=0.1))
    optimizer = create_optimizer_v2(model, opt="adamw", lr=5e-4, weight_decay=0.05)
    loss_of, (pictures, labels) = SoftTargetCrossEntropy(), batch()

    def run() -> None:
        for _ in range(REPEATS):
            optimizer.zero_grad()
            with autocast():
                loss = loss_of(model(pictures), labels)
            loss.backward()
            optimizer.step()

    return run


def ours(variant: str) -> Step:
    """The job's step with `variant` in every layer."""
    torch.manual_seed(0)
    own = {"width": 0, "depth": 0, "heads": 0, "image_size": 224, "patch_size": 16}
    task = Classification(**own, model=NAME, drop_path=0.1, mixup=0.8, cutmix=1.0, lr=5e-4)
    task._pictures = Blank()  # type: ignore[assignment]  # no picture is read
    built = task.build(plug(spec("graph", variant), registry.variant(variant)))
    model, mixture = prepared(built), batch()
    optimizer = task.optimizer(built)

    def run() -> None:
        for _ in range(REPEATS):
            optimizer.zero_grad(set_to_none=True)
            with autocast():
                loss = task.loss(model, mixture)
            loss.backward()
            assert math.isfinite(loss.item())
            optimizer.step()

    return run


def started(name: str) -> Step:
    return theirs() if name == "timm" else ours(name)


def twice(name: str) -> None:
    """What the memory of a fresh process is measured on."""
    run = started(name)
    run()
    run()


def memory(name: str) -> int:
    """Peak bytes of two rounds, weights and batch included."""
    if not CUDA:
        return peak_bytes(twice, name)
    torch._dynamo.reset()
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    held = torch.cuda.memory_allocated()
    twice(name)
    return torch.cuda.max_memory_allocated() - held


def main() -> None:
    names = ("timm", *VARIANTS)
    peaks = {name: memory(name) for name in names}
    seconds = turns({name: started(name) for name in names}, rounds=ROUNDS)
    rows = [
        (
            name,
            f"{ratio(seconds, name, 'timm'):.2f}",
            f"{peaks[name] / peaks['timm']:.2f}",
            f"{REPEATS * BATCH / sorted(seconds[name])[ROUNDS // 2]:,.0f}",
            f"{peaks[name] / 2**20:,.0f}",
        )
        for name in names
    ]
    header = ("variant", "step time / timm", "peak memory / timm", "images/s", "peak MiB")
    title = f"DeiT-tiny, 224 pixels, batch {BATCH}, {'bfloat16, compiled' if CUDA else 'float32'}"
    print(table(title, header, rows), flush=True)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
