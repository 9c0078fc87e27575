"""A plan and the jobs it stands for: pure, without torch, 10,000 jobs in under a second."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jobs.contract import JobSpec


@dataclasses.dataclass(frozen=True, kw_only=True)
class Job:
    """One spec together with what the scheduler must know but what does not decide a number."""

    spec: JobSpec
    id: str
    entry: str  # name of the plan's entry it comes from
    upstream: str | None = None  # id of the job whose checkpoint it starts from
    broken: str | None = None  # why its outside variant file cannot be used: one sentence
    limits_s: Mapping[str, float] = dataclasses.field(default_factory=dict)  # per phase
    variant_file: Path | None = None  # the outside file, where the variant comes from one

    @property
    def name(self) -> str:
        """How people call it: `entry/data/variant[lam=0.6]/seed 0`, with the task's own arguments after the entry."""
        return f"{self.entry}/{self.spec.data}/{variant_label(self.spec)}/seed {self.spec.seed}"


def variant_label(spec: JobSpec) -> str:
    """`neutreno[lam=0.6]`, or `softmax` for a variant without arguments."""
    return spec.variant + bracketed(spec.variant_arguments)


def setting_label(spec: JobSpec, shown: tuple[str, ...] = ()) -> str:
    """`graph karate depth=8`: task, data (and split, unless it is the default one), and the arguments in `shown`."""
    data = spec.data if spec.split == "default" else f"{spec.data}/{spec.split}"
    return " ".join([spec.task, data, *(f"{key}={plain(spec.arguments[key])}" for key in shown if key in spec.arguments)])


def bracketed(arguments: Mapping[str, Any]) -> str:
    """`[a=1,b=x]`, or nothing where there are no arguments."""
    return f"[{','.join(f'{key}={plain(value)}' for key, value in sorted(arguments.items()))}]" if arguments else ""


def plain(value: object) -> str:
    """A value as a person writes it: 0.6, 8, cosine, true, none."""
    if isinstance(value, bool) or value is None:
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)
