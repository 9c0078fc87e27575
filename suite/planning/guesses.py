"""What a job takes where nothing was measured: a count of its arithmetic over a rate that is assumed.

    step = batch x FLOPs of a sample / (devices x rate) + layers x overhead, and the loading of its samples

The FLOPs of a transformer's sample are 6 x (12 C^2 per layer) x N + 12 N^2 C per layer: forward and backward, with
attention; an evaluation takes a third. The constants below are good for a factor of two or three on common hardware, no
better: they say whether a plan takes hours or years. A probe or a finished job overrides them.
"""

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any

from jobs.contract import JobSpec
from suite.planning.pace import Pace, Setup, validate_every

START_S = 15.0
"""What a job spends before its first step: importing frameworks, reading data, building [s]."""

COMPILE_S = 60.0
"""What compilation adds to that [s]."""

CPU_RATE = 5e10
"""FLOP/s of one core in float32 with AVX2."""

GPU_RATE: Mapping[str, float] = {"float32": 1e13, "bfloat16": 3e13}
"""FLOP/s of one data-centre GPU that small models reach, by precision."""

SPARSE_SHARE = 0.2
"""Share of those rates that sparse products over a graph reach."""

LAYER_S = {"cpu": 0.002, "gpu": 0.0015}
"""What a layer takes however small it is, forward and backward: starting its kernels [s]."""

PARAMETERS = 1e6
"""Of a model about which nothing is known."""

OTHER_STEP_S = 0.3
"""A step of a task that is not in `WORK` [s]."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Work:
    """What is to be done for one setting."""

    flops: float  # of one training sample, forward and backward
    parameters: float
    layers: int
    val: float  # samples in a validation
    test: float  # samples in the last evaluation, counted once for each pass over them
    load_s: float = 0.0  # to read and augment one sample on one core [s]
    dealt: bool = True  # whether devices share a batch
    every: int | None = None  # steps between validations, where no argument says so
    share: float = 1.0  # of the rates


@dataclasses.dataclass(frozen=True)
class Data:
    """A data set's size."""

    train: int  # samples; tokens of text; nodes of a graph
    val: int
    test: int
    classes: int  # or words
    load_s: float = 0.0
    edges: int = 0
    features: int = 0  # that are not zero, of a node


DATA: Mapping[str, Data] = {
    "digits": Data(1_257, 180, 360, 10, 0.0001),
    "tiny-imagenet-100": Data(15_000, 2_500, 2_500, 100, 0.001),
    # tested on A (7,500), R (30,000) and C (75 x 50,000) too, where they are there
    "imagenet": Data(1_281_167, 50_000, 50_000 + 7_500 + 30_000 + 75 * 50_000, 1_000, 0.012),
    "scenes": Data(1_750, 250, 250, 11, 0.003),
    "camvid": Data(367, 101, 233, 11, 0.03),
    "ade20k": Data(20_210, 2_000, 2_000, 150, 0.06),
    "pydoc": Data(81_000, 9_000, 9_000, 1_700),
    "wikitext-2": Data(2_088_628, 217_646, 245_569, 33_280),
    "wikitext-103": Data(103_227_021, 217_646, 245_569, 267_744),
    "karate": Data(34, 34, 34, 4, edges=190, features=34),
    "cora": Data(2_708, 2_708, 2_708, 7, edges=13_264, features=18),
    "citeseer": Data(3_327, 3_327, 3_327, 6, edges=12_431, features=32),
    "pubmed": Data(19_717, 19_717, 19_717, 3, edges=108_365, features=50),
    "ogbn-arxiv": Data(169_343, 169_343, 169_343, 40, edges=2_484_941, features=128),
    "ogbn-products": Data(2_449_029, 2_449_029, 2_449_029, 47, edges=126_167_053, features=100),
}
OTHER_PICTURES = Data(50_000, 5_000, 5_000, 100, 0.012)
OTHER_TEXT = Data(2_000_000, 200_000, 200_000, 30_000)
OTHER_GRAPH = Data(20_000, 20_000, 20_000, 10, edges=200_000, features=100)

_SIZES = {"tiny": (192, 12), "small": (384, 12), "base": (768, 12), "large": (1024, 24)}
"""Width and depth of a vision transformer by a word in its name."""

_SCALES = (0.5, 0.75, 1.0, 1.25, 1.5, 1.75)
"""Of a multi-scale test, each also mirrored."""


def pace(spec: JobSpec, setup: Setup) -> Pace:
    """The guess at a job's parts under `setup`."""
    start_s = START_S + COMPILE_S * spec.compile
    if spec.task not in WORK:
        return Pace(start_s=start_s, step_s=OTHER_STEP_S, finish_s=0.0)
    work = WORK[spec.task](spec.arguments, spec.data)
    once = _sample_s(work, spec, setup)
    load_s = work.load_s / max(1, setup.workers) / (_devices(setup) if work.dealt else 1)
    return Pace(
        start_s=start_s,
        step_s=_step_s(work, spec, setup, load_s),
        validate_s=work.val * _together(once / 3, load_s, setup),
        validate_every=validate_every(spec) or work.every,
        finish_s=work.test * _together(once / 3, load_s, setup),
        parameters=work.parameters,
    )


def _devices(setup: Setup) -> int:
    return setup.gpus or setup.processes


def _sample_s(work: Work, spec: JobSpec, setup: Setup) -> float:
    """Arithmetic of one training sample, by all devices together where they share it [s]."""
    rate = GPU_RATE.get(spec.precision, GPU_RATE["float32"]) if setup.gpus else CPU_RATE * spec.threads
    return work.flops / (rate * work.share * (_devices(setup) if work.dealt else 1))


def _step_s(work: Work, spec: JobSpec, setup: Setup, load_s: float) -> float:
    own = spec.global_batch / _devices(setup) if work.dealt else spec.global_batch
    passes = math.ceil(own / setup.micro_batch) if setup.micro_batch else 1
    overhead_s = work.layers * LAYER_S["gpu" if setup.gpus else "cpu"] * passes
    arithmetic_s = spec.global_batch * _sample_s(work, spec, setup) + overhead_s
    return _together(arithmetic_s, spec.global_batch * load_s, setup)


def _together(arithmetic_s: float, load_s: float, setup: Setup) -> float:
    """One after the other, unless other processes load meanwhile."""
    return max(arithmetic_s, load_s) if setup.workers else arithmetic_s + load_s


def _transformer(tokens: float, width: float, depth: float, per_layer: float = 12.0) -> tuple[float, float]:
    """FLOPs of a training sample and parameters of `depth` layers that have `per_layer` C^2 weights each.

    >>> flops, parameters = _transformer(197, 192, 12)  # DeiT-tiny: 1.25 GMAC forward, 5.3 of its 5.7 M parameters
    >>> round(flops / 6e9, 2), round(parameters / 1e6, 2)
    (1.22, 5.31)
    """
    parameters = depth * per_layer * width**2
    return 6 * parameters * tokens + 12 * depth * tokens**2 * width, parameters


def _encoder(given: Mapping[str, Any]) -> tuple[float, int]:
    """Width and depth of a vision transformer; 0 stands for the named model's own."""
    named = next((size for word, size in _SIZES.items() if word in str(given.get("model"))), _SIZES["tiny"])
    return float(given.get("width") or named[0]), int(given.get("depth") or named[1])


def _classification(given: Mapping[str, Any], data: str) -> Work:
    known = DATA.get(data, OTHER_PICTURES)
    width, depth = _encoder(given)
    patch = given.get("patch_size", 16)
    tokens = (given.get("image_size", 224) / patch) ** 2 + 1
    flops, parameters = _transformer(tokens, width, depth)
    rest = width * (3 * patch**2 + tokens + known.classes)
    return Work(
        flops=flops + 6 * width * (3 * patch**2 * tokens + known.classes),
        parameters=parameters + rest,
        layers=depth,
        val=known.val,
        test=known.test,
        load_s=known.load_s,
    )


def _segmentation(given: Mapping[str, Any], data: str) -> Work:
    """A Segmenter; the convolutions of a UPerNet are not counted."""
    known = DATA.get(data, OTHER_PICTURES)
    width, depth = _encoder(given)
    crop, patch = given.get("crop", 512), given.get("patch", 16)
    tokens = (crop / patch) ** 2
    encoder, decoder = _transformer(tokens + 1, width, depth), (0.0, 0.0)
    if given.get("model") != "upernet":
        shape = (given.get("decoder_width") or width, given.get("decoder_depth", 2))
        decoder = _transformer(tokens + known.classes, *shape)
    windows = max(1.0, (given.get("short_side", crop) / crop) ** 2 * 4 / 3)  # of a photograph of 4:3
    passes = windows * (1 + (2 * sum(scale**2 for scale in _SCALES) if given.get("multi_scale") else 0))
    return Work(
        flops=encoder[0] + decoder[0],
        parameters=encoder[1] + decoder[1] + width * 3 * patch**2,
        layers=depth + given.get("decoder_depth", 2),
        val=known.val * windows,
        test=known.test * passes,
        load_s=known.load_s,
    )


def _language(given: Mapping[str, Any], data: str) -> Work:
    """A decoder; of an adaptive softmax the words beyond its head count a sixteenth."""
    known = DATA.get(data, OTHER_TEXT)
    width, depth, context = given.get("width", 512), given.get("depth", 6), given.get("context", 512)
    matrices = 3 if given.get("architecture") == "modern" else 2
    flops, parameters = _transformer(context, width, depth, 4 + matrices * given.get("ffn", 4 * width) / width)
    head = int(str(given.get("cutoffs") or known.classes).partition(",")[0])
    words = min(head, known.classes) + max(known.classes - head, 0) / 16
    windows = known.test / context + known.test / max(1, context - given.get("context_window", 0))
    return Work(
        flops=flops + 6 * context * width * words,
        parameters=parameters + width * known.classes,
        layers=depth + 1,
        val=known.val / context,
        test=windows,
    )


def _graph(given: Mapping[str, Any], data: str) -> Work:
    """One whole graph a step, and one a validation; models without a linear map per block are cheaper than guessed."""
    known = DATA.get(data, OTHER_GRAPH)
    width, depth = given.get("width", 64), given.get("depth", 2)
    weights = depth * width**2 + width * (known.features + known.classes)
    return Work(
        flops=6 * (known.train * weights + depth * known.edges * width),
        parameters=depth * width**2 + width * (1_000 + known.classes),
        layers=depth + 2,
        val=1,
        test=1,
        dealt=False,
        every=1,
        share=SPARSE_SHARE,
    )


WORK: Mapping[str, Callable[[Mapping[str, Any], str], Work]] = {
    "classification": _classification,
    "segmentation": _segmentation,
    "language": _language,
    "graph": _graph,
}
"""By task; what an outside task does is not known."""
