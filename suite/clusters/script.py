"""The batch script: one of the templates in `slurm/`, filled in from a site and what is to be run."""

import dataclasses
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

import jinja2

from suite.clusters.site import Site
from suite.errors import UsageError
from suite.provenance import SOURCE_ROOT

TEMPLATES = SOURCE_ROOT / "slurm"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Script:
    """What is in the script beside the site: absolute paths, so that it runs wherever SLURM starts it."""

    plan: str  # the plan's name
    here: Path  # the folder in which the command was typed
    runs: Path
    command: Sequence[str] = ()  # mode ray: the words after `unsmooth`
    orders: Path | None = None  # mode array: the file with one order a line

    @property
    def folder(self) -> Path:
        """Where script and logs lie."""
        return folder(self.runs)


def folder(runs: Path) -> Path:
    """Where everything about SLURM lies in a runs folder."""
    return runs.absolute() / "slurm"


def render(site: Site, script: Script) -> str:
    """The whole batch script.

    Raises:
        UsageError: a path holds what an #SBATCH line cannot, or the templates are not there.
    """
    bad = [path for path in (script.here, script.runs) if any(letter in str(path) for letter in '\n%"\\')]
    if bad:
        raise UsageError(
            f"SLURM cannot write logs below {bad[0]}: its path holds a %, a quote, a backslash or a"
            " line break. Use another one."
        )
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["q"] = lambda word: shlex.quote(str(word))
    try:
        template = environment.get_template(f"{site.slurm.mode}.sbatch.jinja")
    except jinja2.TemplateNotFound as error:
        raise UsageError(f"There is no {TEMPLATES / str(error)}: `unsmooth submit` runs from a checkout.") from error
    return template.render(
        site=site,
        name=f"unsmooth-{script.plan}",
        python=site.node.python or sys.executable,
        source=SOURCE_ROOT,
        here=script.here,
        runs=script.runs.absolute(),
        folder=script.folder,
        plan=script.plan,
        command=list(script.command),
        orders=script.orders,
    )
