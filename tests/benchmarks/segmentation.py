"""Our training iteration over mmsegmentation's: `python -m tests.benchmarks.segmentation`.

Ours is what the shared loop does in a step; theirs is `train_step` of the untouched network, what mmengine's Runner
calls in an iteration. Both begin with the same uint8 pictures and labels and end with the same optimizer's update.
Goal: 1.00 or less with softmax.
"""

import functools
from collections.abc import Callable
from typing import Any

import numpy
import torch

from jobs import registry
from jobs.hosts import segmenter, upernet
from jobs.hosts.encoder import Shape
from jobs.openmmlab import OptimWrapper, PackSegInputs, pseudo_collate
from jobs.tasks.segmentation import Segmentation
from jobs.training.run import plug
from tests.benchmarks.measure import ratio, table, turns
from tests.jobs.hosts import untouched
from tests.jobs.tiny import spec

ROUNDS = 7
VARIANTS = ("softmax", "neutreno", "centered")
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
Step = Callable[[], object]

SMALL = {"crop": 160, "patch": 8, "width": 96, "depth": 4, "heads": 4, "classes": 11}
TINY = {"crop": 512, "patch": 16, "width": 192, "depth": 12, "heads": 3, "classes": 150, "drop_path": 0.1}
SETTINGS = (
    ("Segmenter, 160 pixels, width 96, 4 + 2 layers, 11 classes", SMALL, "segmenter", 8),
    ("Segmenter-Tiny, 512 pixels, 12 + 2 layers, 150 classes", TINY, "segmenter", 2),
    ("UPerNet, 160 pixels, width 96, 4 layers, 11 classes", SMALL, "upernet", 8),
)


def pictures(shape: Shape, count: int) -> list[Any]:
    """Noise with labels, as a data set's pipeline packs them."""
    rng, size = numpy.random.default_rng(0), (shape.crop, shape.crop)
    packed = []
    for _ in range(count):
        image = rng.integers(0, 256, (*size, 3), dtype=numpy.uint8)
        labels = rng.integers(0, shape.classes, size, dtype=numpy.uint8)
        found = {"img": image, "gt_seg_map": labels, "seg_fields": ["gt_seg_map"], "img_shape": size, "ori_shape": size}
        packed.append(PackSegInputs()(found))
    return packed


def theirs(model: str, shape: Shape, count: int) -> Step:
    """An iteration of mmsegmentation's own."""
    torch.manual_seed(0)
    network = getattr(untouched, model)(shape).to(DEVICE).train()
    update = OptimWrapper(torch.optim.SGD(network.parameters(), lr=1e-3, momentum=0.9))
    batch = pictures(shape, count)
    return lambda: network.train_step(pseudo_collate(batch), update)


def ours(model: str, variant: str, shape: Shape, count: int) -> Step:
    """A step of the shared loop."""
    torch.manual_seed(0)
    create = {"segmenter": segmenter.create, "upernet": upernet.create}[model]
    network = create(shape, plug(spec("segmentation", variant), registry.variant(variant)), stride=shape.crop)
    network.to(DEVICE).train()
    optimizer = torch.optim.SGD(network.parameters(), lr=1e-3, momentum=0.9)
    task, batch = Segmentation(), pictures(shape, count)

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        loss = task.loss(network, batch)
        loss.backward()
        optimizer.step()
        float(loss.detach())

    return step


def main() -> None:
    for title, sizes, model, count in SETTINGS:
        width = {"decoder_width": sizes["width"], "decoder_depth": 2, "decoder_heads": sizes["heads"]}
        shape = Shape(**sizes, **width)  # type: ignore[arg-type]
        steps = {"mmsegmentation": theirs(model, shape, count)}
        steps |= {variant: ours(model, variant, shape, count) for variant in VARIANTS}
        seconds = turns(steps, rounds=ROUNDS)
        compared = functools.partial(ratio, seconds, over="mmsegmentation")
        rows = [(name, f"{compared(name):.2f}") for name in VARIANTS]
        print(table(f"{title}, batch {count}", ("variant", "iteration / mmsegmentation's"), rows), flush=True)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
