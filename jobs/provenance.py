"""Where a job's numbers come from: code, packages, machine, data and the command that repeats it."""

import contextlib
import hashlib
import os
import platform
import sys
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from jobs.contract import JobFolder, JobSpec, Launch, file_sha256

_ROOT = Path(__file__).parent.parent
_FRAMEWORKS = ("timm", "torch_geometric", "mmengine", "mmsegmentation", "mmcv-lite", "deepspeed", "fairseq")
_PACKAGES = ("torch", "numpy", *_FRAMEWORKS)


def describe(folder: JobFolder, spec: JobSpec, launch: Launch, digests: Mapping[str, str]) -> dict[str, Any]:
    """The content of provenance.json; call it at the end, when every module that decides a number is imported.

    `digests` has the data set's under "digest".
    """
    return {
        "git": launch.git,
        "code": imported_code(),
        "packages": {name: found for name in _PACKAGES if (found := _version(name))},
        "python": platform.python_version(),
        "platform": platform.platform(),
        "hardware": _hardware(),
        "data": {"name": spec.data, "split": spec.split, **digests},
        "threads": spec.threads,
        "runtime": launch.runtime,
        "image": launch.image,
        "network": launch.network,
        "command": ["python", "-m", "jobs", str(folder.root)],
    }


def imported_code() -> dict[str, str]:
    """SHA-256 of every file of `jobs/` that this process has imported, by path relative to the checkout."""
    files = (getattr(module, "__file__", None) for name, module in sys.modules.items() if name.split(".")[0] == "jobs")
    paths = sorted({Path(file) for file in files if file} | {Path(__file__).parent / "__main__.py"})
    return {path.relative_to(_ROOT).as_posix(): file_sha256(path) for path in paths if path.is_relative_to(_ROOT)}


def digest_files(paths: list[Path]) -> str:
    """One SHA-256 over names and contents of files, in the order given."""
    whole = hashlib.sha256()
    for path in paths:
        whole.update(f"{path.name}\0{file_sha256(path)}\n".encode())
    return whole.hexdigest()


def digest_bytes(*parts: bytes) -> str:
    """One SHA-256 over several byte strings."""
    whole = hashlib.sha256()
    for part in parts:
        whole.update(f"{len(part)}\0".encode() + part)
    return whole.hexdigest()


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _hardware() -> dict[str, Any]:
    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return {
        "machine": platform.machine(),
        "cpus": os.cpu_count(),
        "processor": _processor(),
        "draws": draws(),
        "gpus": gpus,
        "host": platform.node(),
    }


def _processor() -> str:
    """`AMD EPYC, AVX2`: the model, where the system tells it, and what torch's kernels use of it."""
    model = ""
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    return ", ".join(filter(None, [model, torch.backends.cpu.get_cpu_capability()]))


def draws() -> dict[str, str]:
    """A short digest of what torch draws on this CPU from one seed, by kind: processors may differ even in that.

    On Intel's, Bernoulli draws come from MKL's generator, elsewhere from torch's own (ATen, DistributionKernels.cpp).
    Normal numbers are rounded, for their last digits depend on the instructions. A job's own streams are not touched.
    """
    kinds = {
        "uniform": lambda stream: torch.rand(64, generator=stream),
        "normal": lambda stream: torch.randn(64, generator=stream).mul(1000).round(),
        "bernoulli": lambda stream: torch.empty(64).bernoulli_(0.5, generator=stream),
        "integers": lambda stream: torch.empty(64, dtype=torch.int64).random_(-(2**63), None, generator=stream),
        "order": lambda stream: torch.randperm(64, generator=stream),
    }
    return {
        kind: digest_bytes(draw(torch.Generator().manual_seed(0)).numpy().tobytes())[:8] for kind, draw in kinds.items()
    }
