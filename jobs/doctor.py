"""`python -m jobs doctor`: what this environment can run; the end of an image's build, and its health check.

UNSMOOTH_PROMISES names, with commas between, what must be there; without it everything is looked at, nothing is owed.
"""

import dataclasses
import importlib
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

import torch

MODULES: Mapping[str, tuple[str, ...]] = {
    "classification": ("jobs.tasks.classification", "jobs.hosts.deit", "jobs.data.digits", "jobs.data.views"),
    "segmentation": ("jobs.tasks.segmentation", "jobs.hosts.segmenter", "jobs.hosts.upernet", "jobs.data.scenes"),
    "language": ("jobs.tasks.language", "jobs.hosts.lm", "jobs.hosts.llama", "jobs.data.text"),
    "fairseq": ("jobs.fairseq.driver", "jobs.fairseq.course", "jobs.fairseq.score"),
    "graph": ("jobs.tasks.graph", "jobs.hosts.gcn", "jobs.data.karate", "jobs.data.graph_files"),
    "zero": ("deepspeed",),
}
"""What is imported for each task, for engine fairseq and for the ZeRO engines."""


@dataclasses.dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    name: str
    works: bool
    found: str


def main() -> int:
    """Print one line for each finding; 1 if something that is promised does not work."""
    promised = promises(os.environ.get("UNSMOOTH_PROMISES", ""))
    broken = False
    for finding in examine(promised or list(MODULES)):
        print(f"{'ok' if finding.works else 'missing':8}{finding.name:16}{finding.found}")
        broken |= not finding.works and finding.name in promised
    return 1 if broken else 0


def promises(text: str) -> list[str]:
    """The names in `text`.

    Raises:
        SystemExit: one of them is unknown; its message names those that are known.
    """
    names = [name for name in text.replace(" ", "").split(",") if name]
    if unknown := [name for name in names if name not in MODULES]:
        raise SystemExit(f"UNSMOOTH_PROMISES: unknown {', '.join(unknown)}. Known: {', '.join(MODULES)}.")
    return names


def examine(names: list[str]) -> Iterator[Finding]:
    """PyTorch and its devices, shared memory, and what `names` need."""
    yield Finding("torch", True, torch.__version__)
    gpus = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    yield Finding("devices", True, ", ".join(gpus) or "CPU only")
    yield _shared_memory(Path("/dev/shm"))
    for name in names:
        yield _imported(name)


def _imported(name: str) -> Finding:
    for module in MODULES[name]:
        try:
            importlib.import_module(module)
        except (ImportError, OSError, RuntimeError, AttributeError) as error:  # OSError: a library of the system's
            return Finding(name, False, f"{module}: {type(error).__name__}: {error}")
    return Finding(name, True, "can be imported")


def _shared_memory(path: Path) -> Finding:
    if not path.is_dir():
        return Finding("shared memory", False, f"no {path}: run without data-loading processes")
    return Finding("shared memory", True, f"{shutil.disk_usage(path).free / 1e9:.2g} GB in {path}")
