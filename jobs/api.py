"""The adapter interface: what a variant, a task and a smoothing operator are to each other.

A mitigation of over-smoothing changes how a *smoothing operator* A acts on values V. In a transformer
A is softmax attention, in a graph network the normalised adjacency; a variant is written against A
and so runs in every host.
"""

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol

import torch
from torch import Tensor, nn

from jobs.errors import DataError, VariantError
from jobs.portion import Portion


@dataclasses.dataclass(frozen=True)
class Layer:
    """Where in its stack a variant sits; holds no tensor."""

    index: int  # 0 is the first layer of this stack
    depth: int  # layers in this stack
    width: int  # channels C
    heads: int  # H; 1 in a graph network
    causal: bool  # whether token i may see tokens 0..i only
    graph: bool = False  # whether tokens are the nodes of a graph and A its adjacency or attention over its edges


class Smoothing(Protocol):
    """The operator A of one layer in one forward pass. Values `v` are (..., H, N, D); a graph's are (1, N, C)."""

    x: Tensor
    """The layer's input, (..., 1, N, C)."""
    memory: dict[str, Tensor]
    """What earlier layers kept in this forward pass, by the names in `Variant.keeps`."""
    needs: frozenset[str]
    """What the variant at this site has declared; see `Variant.needs`."""

    def __call__(self, v: Tensor) -> Tensor:
        """A v, fused; a fully masked row gives 0."""
        ...

    def mean(self, v: Tensor) -> Tensor:
        """Mean over visible tokens, summed in float32: (..., H, 1, D), or (..., H, N, D) running means if causal."""
        ...

    def consensus(self, v: Tensor) -> Tensor:
        """J v, what A v tends to as tokens agree: the mean, or u u^T v on a symmetric graph."""
        ...

    def deviation(self, v: Tensor) -> Tensor:
        """(A - J) v, (..., H, N, D), in one call and without cancellation in bfloat16."""
        ...

    def dense(self) -> Tensor:
        """A itself, (..., N, N); only for variants that declare the need."""
        ...

    def drop_edges(self, p: float) -> "Smoothing":
        """The site without each edge that is dropped, with probability `p`; on a graph only."""
        ...

    def linked(self) -> Tensor:
        """(N, N) bool, N^2 bytes: where A may differ from 0, loops included; on a graph only."""
        ...


class Variant(nn.Module):
    """One mitigation, one instance per layer. This base class is the baseline: it changes nothing.

    Subclasses override the few hooks they need; hyper-parameters are keyword-only with the paper's defaults.
    """

    keeps: ClassVar[tuple[str, ...]] = ()
    """Names of the tensors handed on from layer to layer through `Smoothing.memory`."""
    needs: ClassVar[frozenset[str]] = frozenset()
    """What the operator must offer beyond one fused call: "dense"."""
    neutral: ClassVar[Mapping[str, Any] | None] = None
    """Arguments that give back the baseline within rounding, or None if there are none."""

    def __init__(self, layer: Layer) -> None:
        super().__init__()
        self.layer = layer

    @classmethod
    def skip(cls, layer: Layer) -> str | None:
        """None, or the reason (a sentence) why this variant does not apply to such a layer."""
        return None

    def begin(self, queries: Sequence[Tensor]) -> None:
        """Called once the host's weights are drawn; `queries` (weights and bias, none on a graph) make q from x."""

    def enter(self, x: Tensor) -> Tensor:
        """What each host norm receives, (..., 1, N, C) in and out."""
        return x

    def operator(self, a: Smoothing) -> Smoothing:
        """Another operator on the same site."""
        return a

    def mix(self, a: Smoothing, v: Tensor) -> Tensor:
        """The branch before its output projection, (..., H, N, D) in and out; the baseline's is A v."""
        return a(v)

    def refine(self, y: Tensor, a: Smoothing) -> Tensor:
        """The branch after its output projection, (..., 1, N, C) in and out."""
        return y

    def feed(self, y: Tensor) -> Tensor:
        """The feed-forward branch where the host has one, (..., 1, N, C) in and out."""
        return y

    def leave(self, y: Tensor, x: Tensor, memory: dict[str, Tensor]) -> Tensor:
        """What the layer hands on, given its output `y` and its input `x`, (..., 1, N, C) all."""
        return y

    def penalty(self, x: Tensor) -> Tensor:
        """A scalar added to the loss; `x` is the layer's output, (..., 1, N, C)."""
        return x.new_zeros(())

    def forward(self, a: Smoothing, v: Tensor, project: Callable[[Tensor], Tensor]) -> Tensor:
        """The one call every host makes; not meant to be overridden.

        Raises:
            VariantError: `mix` or `refine` changed the shape of what it was given.
        """
        a = self.operator(a)
        a.needs = self.needs
        mixed = self.mix(a, v)
        self._expect("mix", mixed, v)
        y = project(mixed)
        refined = self.refine(y, a)
        self._expect("refine", refined, y)
        return refined

    def _expect(self, hook: str, got: Tensor, like: Tensor) -> None:
        if not isinstance(got, Tensor) or got.shape != like.shape:
            shape = tuple(got.shape) if isinstance(got, Tensor) else type(got).__name__
            name = type(self).__name__
            raise VariantError(
                f"{name}.{hook} returned {shape}; it must return the shape it was given, {tuple(like.shape)}."
            )


Plug = Callable[[Layer], Variant]
"""Builds the variant of one layer; a host calls it once per layer."""

Draw = tuple[int, int]
"""One training sample: (round, index). Augmentation draws its random numbers from (seed, round, index).

The round is the epoch, or epoch * repeats + copy where a task repeats its samples."""


@dataclasses.dataclass(frozen=True)
class Metric:
    """A number's name, unit and direction."""

    name: str
    unit: str
    better: Literal["higher", "lower"]

    def improved(self, new: float, old: float | None) -> bool:
        """Whether `new` beats `old` (None: nothing to beat yet)."""
        if old is None:
            return True
        return new > old if self.better == "higher" else new < old


@dataclasses.dataclass(frozen=True)
class Dataset:
    """What a task knows of one data set before it is read."""

    summary: str
    splits: tuple[str, ...] = ("default",)
    embedded: bool = False  # ships with a package we depend on; needs no --data


class Task(ABC):
    """One training-and-evaluation setting: data, host model, loss and metric.

    A subclass's module docstring describes it; its keyword-only constructor arguments, with defaults, are the
    plan's `arguments`. Building, loading and evaluating use heavy libraries and import them when called, so
    that describing a task stays cheap.
    """

    datasets: ClassVar[Mapping[str, Dataset]]
    metrics: tuple[Metric, ...]
    """What `evaluate` returns on the test part, the primary one first; `load` may add what the data offer."""
    selection: ClassVar[Metric | None] = None
    """The validation metric whose best checkpoint is tested; None: the last one is."""
    label: ClassVar[tuple[str, ...]]
    """The arguments that name a row, such as model and depth."""
    steps: ClassVar[int]
    global_batch: int
    """Samples per step: the class's default, in a job the spec's."""
    engines: ClassVar[tuple[str, ...]] = ("ddp",)
    """Those of `jobs.contract.ENGINES` that can train it."""
    full_batch: bool = False
    """Whether every process sees every sample (one graph cannot be dealt out)."""
    evaluates_together: ClassVar[bool] = False
    """Whether all processes share an evaluation; False: the first one does it alone."""

    portion: Portion = Portion()
    """What this process evaluates where `evaluates_together`; set before training."""
    workers: int = 0
    """Data-loading processes that an evaluation may start; set before training."""
    repeats: int = 1
    """Repeated augmentation: how often an epoch visits each sample it draws."""
    further: Mapping[str, str] = {}
    """Digests of data that are read beside the data set and on which its own metrics do not depend, by name."""
    pairs: bool = False
    """Whether the samples of a forward pass are paired, so that micro-batches must be even."""
    average: float | None = None
    """Decay of an exponential moving average of the weights, tested beside them as `ema_<metric>`."""
    evaluate_every: int | None = None
    """Steps between validations; None: none before the end."""
    patience: int | None = None
    """Validations without improvement after which training stops."""
    clip: float | None = None
    """Largest gradient norm."""

    @abstractmethod
    def load(self, data: str, split: str, root: Path | None, seed: int) -> str:
        """Read data set `data` (below `root` unless embedded) and return its digest.

        Raises:
            DataError: it is missing, incomplete or not what was announced.
        """

    @abstractmethod
    def build(self, plug: Plug) -> nn.Module:
        """The host model with `plug(layer)` in every layer; weights depend on the global random stream only."""

    @abstractmethod
    def samples(self) -> int:
        """Training samples in an epoch."""

    @abstractmethod
    def batch(self, draws: Sequence[Draw]) -> Any:
        """The training samples `draws`, collated; a pure function of the draws and the seed."""

    @abstractmethod
    def loss(self, model: nn.Module, batch: Any) -> Tensor:
        """The mean training loss of `batch`, penalties included: a scalar."""

    @abstractmethod
    def optimizer(self, model: nn.Module) -> torch.optim.Optimizer: ...

    def rate(self, step: int, steps: int) -> float:
        """The learning rate's factor at `step` (0-based) of `steps`."""
        return 1.0

    @abstractmethod
    def evaluate(self, model: nn.Module, part: Literal["val", "test"], beat: Callable[[], None]) -> dict[str, float]:
        """Every metric by name on one part; calls `beat()` after each batch."""

    @abstractmethod
    def probe(self, model: nn.Module) -> None:
        """One forward pass over the fixed evaluation batch, in evaluation mode; the over-smoothing metrics listen."""

    @abstractmethod
    def blocks(self, model: nn.Module) -> Mapping[str, Sequence[nn.Module]]:
        """The layers of each stack in order, such as {"encoder": [...]}; each holds one variant."""

    def initialise(self, model: nn.Module, upstream: Path) -> None:
        """Start from the checkpoint of an upstream job.

        Raises:
            DataError: this task does not start from another's checkpoint, or this one does not fit.
        """
        raise DataError(f"{type(self).__name__} does not start from an upstream checkpoint.")

    def fit(self, model: nn.Module, optimizer: torch.optim.Optimizer, train: Callable[[], None]) -> None:
        """Run `train`, the shared loop over this model and optimizer; a host with a runner of its own wraps it."""
        train()
