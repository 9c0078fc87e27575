"""Which Python runs a job: the suite's own, or that of an environment apart whose packages do not go with the others.

An environment is a folder made once by the command named here; a variable can point to an interpreter elsewhere.
"""

import dataclasses
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from jobs.contract import JobSpec

SOURCE_ROOT = Path(__file__).resolve().parents[3]
"""The folder that holds the packages `suite` and `jobs`."""

MAIN = "main"
"""The environment that the suite itself runs in."""


@dataclasses.dataclass(frozen=True)
class Apart:
    """An environment beside the main one."""

    folder: str  # of the virtual environment, in the checkout
    variable: str  # names an interpreter elsewhere
    build: str  # the command that makes the folder

    @property
    def python(self) -> Path:
        """Its interpreter, whether it is there or not."""
        return Path(os.environ.get(self.variable) or SOURCE_ROOT / self.folder / "bin" / "python")


APART: Mapping[str, Apart] = {"fairseq": Apart(".venv-fairseq", "UNSMOOTH_FAIRSEQ_PYTHON", "make fairseq")}
"""The others, by name; an engine of the same name runs in it."""


def environment(spec: JobSpec) -> str:
    """The environment that a job's engine needs."""
    return spec.engine if spec.engine in APART else MAIN


def interpreter(environment: str) -> str:
    """The Python to start."""
    return sys.executable if environment == MAIN else str(APART[environment].python)


def lacks(environment: str) -> str | None:
    """What is missing before jobs of this environment can start on this machine, and what to do; None if nothing is.

    The interpreter is looked at, not started: an environment that is there but broken fails with a log of its own.
    """
    if environment == MAIN:
        return None
    apart = APART[environment]
    if os.access(apart.python, os.X_OK) and apart.python.is_file():
        return None
    return (
        f"The {environment} environment is missing: there is no interpreter {apart.python}."
        f" Build it with `{apart.build}`, or name one in {apart.variable}."
    )
