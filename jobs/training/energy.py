"""Energy from the counters that a driver keeps: NVIDIA's for GPUs, RAPL's for processors; None where there is none.

Counters belong to the whole device: a job that shares its processor is charged for its neighbours too.
"""

import importlib
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

_RAPL = Path("/sys/class/powercap")
Counter = Callable[[], float]
"""Joules since some moment."""


class Meter:
    """Joules since it was made."""

    def __init__(self, counters: Sequence[Counter]) -> None:
        self._counters = [(counter, counter()) for counter in counters]

    def joules(self) -> float | None:
        """None where nothing is counted."""
        if not self._counters:
            return None
        return sum(counter() - start for counter, start in self._counters)


def counters(device: torch.device, powercap: Path = _RAPL) -> list[Counter]:
    """The counters that cover `device`: its own if it is a GPU, else those of the machine's processor packages."""
    return _nvidia(device) if device.type == "cuda" else _rapl(powercap)


def _nvidia(device: torch.device) -> list[Counter]:
    try:
        nvml = importlib.import_module("pynvml")
    except ImportError:
        return []
    try:
        nvml.nvmlInit()
        handle = nvml.nvmlDeviceGetHandleByUUID(f"GPU-{torch.cuda.get_device_properties(device).uuid}")
        nvml.nvmlDeviceGetTotalEnergyConsumption(handle)
    except nvml.NVMLError:  # no driver, or a GPU that does not count
        return []
    return [lambda: nvml.nvmlDeviceGetTotalEnergyConsumption(handle) / 1000]


def _rapl(powercap: Path) -> list[Counter]:
    """One counter per processor package that may be read; each wraps around at its own range."""
    found: list[Counter] = []
    for zone in sorted(powercap.glob("*-rapl:?")):
        try:
            found.append(_Package(zone))
        except (OSError, ValueError):
            continue
    return found


class _Package:
    """RAPL's counter of one package, unwrapped; has to be read at least once a turn, some minutes at full power."""

    def __init__(self, zone: Path) -> None:
        self._path = zone / "energy_uj"
        self._range = int((zone / "max_energy_range_uj").read_text(encoding="ascii"))
        self._turns, self._last = 0, self._read()

    def __call__(self) -> float:
        now = self._read()
        self._turns += now < self._last
        self._last = now
        return (self._turns * self._range + now) / 1e6

    def _read(self) -> int:
        return int(self._path.read_text(encoding="ascii"))
