"""Is this machine ready? One check per thing that has stopped a run before, each with what to do about it."""

import dataclasses
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from suite.errors import CatalogueError
from suite.planning import catalogue
from suite.provenance import SOURCE_ROOT
from suite.running import gpus
from suite.running.runtimes import interpreters

CONTROL = ("ray", "mlflow", "pydantic", "typer", "rich", "plotly", "jinja2", "scipy")
"""What the control plane needs."""

HOSTS = {
    "torchvision": ("classification", "segmentation"),
    "timm": ("classification", "segmentation"),
    "scikit-learn": ("classification", "segmentation"),
    "torch_geometric": ("graph",),
    "mmengine": ("segmentation",),
    "mmcv-lite": ("segmentation",),
    "mmsegmentation": ("segmentation",),
}
"""What the tasks' hosts need, and which tasks are missing without it."""

FREE_BYTES = (1 * 10**9, 10 * 10**9)
"""Free disk below which a run fails, and below which only small plans fit."""

SHARED_BYTES = 256 * 10**6
"""Shared memory below which data-loading processes may die."""


@dataclasses.dataclass(frozen=True)
class Check:
    """One thing that was looked at."""

    name: str
    status: str  # "ok", "warn" or "fail"
    found: str
    advice: str = ""  # what to do; empty where nothing is wrong


def examine(runs: Path) -> list[Check]:
    """Everything, in the order in which it would be mended."""
    pins = read_pins(SOURCE_ROOT / "constraints.txt")
    return [
        python(),
        torch(),
        *packages(CONTROL, pins),
        *hosts(pins),
        variants_and_tasks(),
        *environments(),
        writable(runs),
        disk(runs),
        shared_memory(),
        graphics(),
        cores(),
    ]


def python() -> Check:
    """The interpreter's version."""
    found = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info[:2] == (3, 11):
        return Check("Python", "ok", found)
    return Check("Python", "fail", found, "Use Python 3.11, which the frameworks of all tasks support.")


def torch() -> Check:
    """Whether a child process can import torch; this one never does."""
    code = "import torch; print(torch.__version__)"
    try:
        child = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    except subprocess.TimeoutExpired:
        return Check("torch", "fail", "not imported within 120 s", "Look at the disk: is it slow or hanging?")
    if child.returncode == 0:
        return Check("torch", "ok", child.stdout.strip())
    last = (child.stderr.strip().splitlines() or [f"exit code {child.returncode}"])[-1]
    return Check("torch", "fail", last, "Install the data plane: make install, or pip install '.[jobs]'.")


def packages(names: Sequence[str], pins: dict[str, str]) -> Iterator[Check]:
    """The control plane's own packages, against the versions that were tried together."""
    for name in names:
        yield _package(name, pins, "fail", "Run make install.")


def hosts(pins: dict[str, str]) -> Iterator[Check]:
    """The frameworks of the tasks; without one of them the other tasks still run."""
    for name, tasks in HOSTS.items():
        yield _package(name, pins, "warn", f"Without it there is no {' or '.join(tasks)} task: make install.")


def _package(name: str, pins: dict[str, str], if_missing: str, advice: str) -> Check:
    try:
        found = version(name)
    except PackageNotFoundError:
        return Check(name, if_missing, "not installed", advice)
    pinned = pins.get(_normal(name))
    if pinned is None or found.partition("+")[0] == pinned:
        return Check(name, "ok", found)
    return Check(name, "warn", f"{found}, tried with {pinned}", f"If it misbehaves: pip install '{name}=={pinned}'.")


def read_pins(path: Path) -> dict[str, str]:
    """Exact versions by normalised name; empty where the package was installed without its constraints file."""
    if not path.is_file():
        return {}
    pairs = re.findall(r"^([A-Za-z0-9_.-]+)==([^\s;#]+)", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {_normal(name): pinned for name, pinned in pairs}


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def variants_and_tasks() -> Check:
    """Whether the data plane can say what it has."""
    try:
        found = catalogue.load()
    except CatalogueError as error:
        return Check("variants, tasks", "fail", str(error), "Mend what the last lines above name.")
    counts = f"{len(found.variants)} variants, {len(found.tasks)} tasks"
    if found.broken:
        problems = "; ".join(broken.problem for broken in found.broken.values())
        return Check("variants, tasks", "warn", f"{counts}; broken: {problems}", "Mend or remove these variants.")
    return Check("variants, tasks", "ok", counts)


def environments() -> Iterator[Check]:
    """The environments beside this one; without them the jobs of their engines cannot run, all others do."""
    for name, apart in interpreters.APART.items():
        lacks = interpreters.lacks(name)
        yield (
            Check(f"{name} environment", "warn", f"no {apart.python}", f"For jobs with engine {name}: {apart.build}.")
            if lacks
            else _imported(name, apart)
        )


def _imported(name: str, apart: interpreters.Apart) -> Check:
    """Whether the interpreter of an environment apart knows the package that it was made for."""
    code = f"from importlib.metadata import version; import torch; print(version({name!r}))"
    what, advice = f"{name} environment", f"Build it again: {apart.build}."
    try:
        child = subprocess.run([apart.python, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return Check(what, "warn", f"{apart.python} cannot be used: {error}", advice)
    if child.returncode == 0:
        return Check(what, "ok", f"{name} {child.stdout.strip()}, {apart.python}")
    return Check(what, "warn", (child.stderr.strip().splitlines() or ["it ended without a word"])[-1], advice)


def writable(runs: Path) -> Check:
    """Whether a file can be made in the runs folder, or in the nearest folder above it that exists."""
    try:
        with tempfile.TemporaryFile(dir=_existing(runs)):
            return Check("runs folder", "ok", f"{runs} can be written")
    except OSError as error:
        return Check("runs folder", "fail", f"{runs}: {error.strerror}", "Choose another folder with --runs.")


def disk(runs: Path) -> Check:
    """Free space where the runs go."""
    free = shutil.disk_usage(_existing(runs)).free
    found = f"{free / 1e9:.1f} GB free"
    if free < FREE_BYTES[0]:
        return Check("disk", "fail", found, "Free some space or choose another folder with --runs.")
    if free < FREE_BYTES[1]:
        return Check("disk", "warn", found, "Enough for small plans; look at what `unsmooth plan` estimates.")
    return Check("disk", "ok", found)


def _existing(path: Path) -> Path:
    return next(folder for folder in (path.absolute(), *path.absolute().parents) if folder.exists())


def shared_memory(path: Path = Path("/dev/shm")) -> Check:
    """Room for the tensors that data-loading processes hand over."""
    if not path.is_dir():
        return Check("shared memory", "warn", f"no {path}", "Run without data-loading processes (--workers 0).")
    free = shutil.disk_usage(path).free
    found = f"{free / 1e9:.1f} GB free in {path}"
    if free < SHARED_BYTES:
        return Check("shared memory", "warn", found, "In a container give more (--shm-size=2g), or use --workers 0.")
    return Check("shared memory", "ok", found)


def graphics() -> Check:
    """GPUs; none is fine for embedded data."""
    found = gpus.names()
    return Check("GPUs", "ok", "; ".join(found) if found else "none; jobs run on the CPU")


def cores() -> Check:
    """CPU cores that this process may use."""
    return Check("CPU cores", "ok", str(len(os.sched_getaffinity(0))))
