"""Ratios measured side by side in one run: candidates take turns, so that a machine's drift hits all of them."""

import multiprocessing
import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch


def turns(candidates: Mapping[str, Callable[[], object]], *, rounds: int) -> dict[str, list[float]]:
    """Seconds of each candidate in each round, after one uncounted round."""
    seconds: dict[str, list[float]] = {name: [] for name in candidates}
    for counted in [False] + [True] * rounds:
        for name, run in candidates.items():
            began = time.perf_counter()
            run()
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            if counted:
                seconds[name].append(time.perf_counter() - began)
    return seconds


def ratio(seconds: Mapping[str, Sequence[float]], name: str, over: str) -> float:
    """The median over rounds of one candidate's time over another's in the same round."""
    return statistics.median(a / b for a, b in zip(seconds[name], seconds[over], strict=True))


def peak_bytes(work: Callable[..., object], *arguments: Any) -> int:
    """What `work(*arguments)` adds to a fresh process's largest resident size, or allocates on its GPU at most.

    The process returns freed tensors at once: by default glibc keeps blocks of up to 32 MiB, and which of them it
    can use again is luck (the same variant read 1.22 of softmax that way, and 1.04 this way).
    """
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    process = context.Process(target=_peak, args=(queue, work, arguments))
    os.environ["MALLOC_MMAP_THRESHOLD_"] = str(1 << 16)
    process.start()
    del os.environ["MALLOC_MMAP_THRESHOLD_"]
    found: int = queue.get()
    process.join()
    return found


def _peak(queue: Any, work: Callable[..., object], arguments: tuple[Any, ...]) -> None:
    torch.set_num_threads(1)
    torch.randn(64, 64) @ torch.randn(64, 64)
    before = _high_water_bytes()
    work(*arguments)
    on_gpu = torch.cuda.is_available()
    queue.put(torch.cuda.max_memory_allocated() if on_gpu else _high_water_bytes() - before)


def _high_water_bytes() -> int:
    """This program's largest resident size; getrusage would count what its parent had before the exec."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


def table(title: str, header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A Markdown table under a line that says where it was measured."""
    lines = [
        f"### {title}",
        "",
        f"{hardware()}, torch {torch.__version__.partition('+')[0]}, {time.strftime('%Y-%m-%d')}.",
        "",
    ]
    lines += ["| " + " | ".join(header) + " |", "|" + " --- |" * len(header)]
    lines += ["| " + " | ".join(map(str, row)) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def hardware() -> str:
    """The device that the figures were taken on."""
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    return f"{platform.machine()} CPU, {torch.get_num_threads()} thread(s)"
