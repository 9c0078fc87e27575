"""The first version of a variant file and of its looped formula: both hold as they are, and the checks pass."""

import keyword
import re
from pathlib import Path

import jobs.contract
from suite.errors import UsageError

_TEMPLATE = '''"""{title}: one sentence that says what it does against over-smoothing.

    O_l = A_l V_l - strength J V_l          (J V: what all tokens tend to, their mean)

Source: authors, title, venue; the authors' default.
"""

from torch import Tensor

from jobs.api import Layer, Smoothing, Variant


class {cls}(Variant):
    """Smoothing less a share `strength` of the consensus (no unit, >= 0)."""

    neutral = {{"strength": 0.0}}

    def __init__(self, layer: Layer, *, strength: float = 0.1) -> None:
        super().__init__(layer)
        if strength < 0:
            raise ValueError(f"{name}: strength must be >= 0, got {{strength}}.")
        self.strength = strength

    def mix(self, a: Smoothing, v: Tensor) -> Tensor:
        """A V - strength J V; `a` knows about graphs, causal masks and padding, so this line need not."""
        return a(v) - self.strength * a.consensus(v)
'''


_FORMULA = '''"""A V - strength J V, once more: dense, looped, and without a look at the variant's code."""

from torch import Tensor

from jobs.check.loops import Head, spread

ARGUMENTS = {"strength": 0.3}


def head(h: Head, *, strength: float) -> Tensor:
    return spread(h.a, h.v) - strength * spread(h.j, h.v)
'''


def write(name: str, folder: Path) -> tuple[Path, Path]:
    """Write `<folder>/<name>.py` and `<folder>/<name>_formula.py` and return their paths.

    Raises:
        UsageError: the name cannot be a variant's, the file exists, or the folder cannot be written.
    """
    _refuse_bad(name)
    path, formula = folder / f"{name}.py", folder / f"{name}_formula.py"
    words = name.split("_")
    text = _TEMPLATE.format(title=" ".join(words).capitalize(), cls="".join(map(str.capitalize, words)), name=name)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with formula.open("x", encoding="utf-8") as second, path.open("x", encoding="utf-8") as first:
            first.write(text)
            second.write(_FORMULA)
    except FileExistsError as error:
        if error.filename == str(path):
            formula.unlink()  # made a moment ago
        raise UsageError(f"{error.filename} exists already; choose another name or move it away.") from error
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}. Choose another folder with -o.") from error
    return path, formula


def _refuse_bad(name: str) -> None:
    if not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", name) or keyword.iskeyword(name):
        raise UsageError(
            f"A variant cannot be called {name!r}. Use lower-case letters, digits and single underscores, a letter "
            "first, and no word of Python's own: for example my_idea."
        )
    taken = sorted(path.stem for path in (Path(jobs.contract.__file__).parent / "variants").glob("[a-z]*.py"))
    if name in taken:
        raise UsageError(f"There is a variant {name!r} already. Taken: {', '.join(taken)}. Choose another name.")


def next_commands(path: Path) -> list[str]:
    """What to type next: examine it, see what a run would do, and run it beside the baseline."""
    run = f"unsmooth run nano --variant-file {path} --select {path.stem} --select softmax"
    return [f"unsmooth check {path}", f"{run} --dry-run", run]
