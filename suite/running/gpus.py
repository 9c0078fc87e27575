"""The GPUs of this machine, as nvidia-smi lists them; no torch, no driver library."""

import subprocess


def names() -> list[str]:
    """One name per GPU; empty without an NVIDIA driver."""
    try:
        query = ["nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader"]
        done = subprocess.run(query, capture_output=True, text=True, timeout=30, check=False)
    except (FileNotFoundError, PermissionError, subprocess.TimeoutExpired):
        return []
    return [line.strip() for line in done.stdout.splitlines() if line.strip()] if done.returncode == 0 else []
