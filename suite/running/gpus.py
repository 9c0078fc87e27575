"""The GPUs of this machine, as nvidia-smi lists them; no torch, no driver library."""

import subprocess
from collections.abc import Sequence


def names() -> list[str]:
    """One name per GPU; empty without an NVIDIA driver."""
    return _ask("--query-gpu=name,memory.total")


def holders(devices: Sequence[int]) -> dict[int, str]:
    """Process ids that hold memory on these GPUs, each with how much, as text."""
    if not devices:
        return {}
    lines = _ask("--query-compute-apps=pid,used_memory", f"--id={','.join(map(str, devices))}")
    pairs = [line.partition(",") for line in lines]
    return {int(pid): used.strip() for pid, _, used in pairs if pid.strip().isdigit()}


def _ask(*question: str) -> list[str]:
    """The answer's lines; none where nvidia-smi is missing, hangs or fails."""
    try:
        query = ["nvidia-smi", *question, "--format=csv,noheader"]
        done = subprocess.run(query, capture_output=True, text=True, timeout=30, check=False)
    except (FileNotFoundError, PermissionError, subprocess.TimeoutExpired):
        return []
    return [line.strip() for line in done.stdout.splitlines() if line.strip()] if done.returncode == 0 else []
