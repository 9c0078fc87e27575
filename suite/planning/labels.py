"""How specs, settings and arguments are written for people: `graph karate depth=8`, `neutreno[lam=0.6]`."""

from collections.abc import Mapping, Sequence
from typing import Any

from jobs.contract import JobSpec

PROFILE = {
    "cosine": "mean pairwise cosine",
    "residual": "relative residual",
    "ratio": "high over low frequencies",
    "energy": "Dirichlet energy",
    "rank": "effective rank",
    "norm": "mean feature norm",
    "entropy": "attention entropy [nat]",
    "first": "attention to the first token",
}
"""Over-smoothing metrics measured per layer, and what their axes say."""


def variant_label(spec: JobSpec) -> str:
    """`neutreno[lam=0.6]`, or `softmax` for a variant without arguments."""
    return spec.variant + bracketed(spec.variant_arguments)


def setting_label(spec: JobSpec, shown: Sequence[str] = ()) -> str:
    """`graph karate depth=8`: task, data (and split, unless it is the default one), and the arguments in `shown`.

    An engine other than ddp stands at the end: `language wikitext-103 depth=16 fairseq`.
    """
    data = spec.data if spec.split == "default" else f"{spec.data}/{spec.split}"
    arguments = {key: spec.arguments[key] for key in shown if key in spec.arguments}
    engine = () if spec.engine == "ddp" else (spec.engine,)
    return " ".join([spec.task, data, *(f"{key}={plain(value)}" for key, value in arguments.items()), *engine])


def bracketed(arguments: Mapping[str, Any]) -> str:
    """`[a=1,b=x]`, or nothing where there are no arguments."""
    return f"[{','.join(f'{key}={plain(value)}' for key, value in sorted(arguments.items()))}]" if arguments else ""


def plain(value: object) -> str:
    """A value as a person writes it: 0.6, 8, cosine, true, none."""
    if isinstance(value, bool) or value is None:
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)
