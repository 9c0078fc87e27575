"""Where results come from: the checkout's version, and whether the code behind a result is still the same."""

import contextlib
import functools
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jobs.contract import ContractError, JobFolder, Result, file_sha256, read_json

SOURCE_ROOT = Path(__file__).resolve().parents[1]
"""The folder that holds the packages `suite` and `jobs`."""


def git_version(root: Path = SOURCE_ROOT) -> dict[str, Any]:
    """`{"sha": ..., "dirty": ...}` of the checkout at `root`; empty where that is not a checkout."""
    sha = _git(root, "rev-parse", "HEAD")
    if sha is None:
        return {}
    return {"sha": sha.strip(), "dirty": bool(_git(root, "status", "--porcelain", "--", "jobs", "suite"))}


def stale(folder: JobFolder, *, root: Path = SOURCE_ROOT) -> str | None:
    """Why the result of this job no longer stands, naming what changed; None while it does."""
    return changed_code(_recorded(folder).get("code", {}), root=root)


def changed_code(recorded: Mapping[str, str], *, root: Path = SOURCE_ROOT) -> str | None:
    """`jobs/hosts/gcn.py has changed since`, for the first of the recorded files that is not as it was."""
    for name, sha256 in sorted(recorded.items()):
        now = _sha256_now(root / name)
        if now != sha256:
            return f"{name} has {'changed' if now else 'gone'} since"
    return None


def forget() -> None:
    """Read files anew: their digests are kept while a command runs."""
    _sha256_now.cache_clear()


@functools.cache
def _sha256_now(path: Path) -> str | None:
    return file_sha256(path) if path.is_file() else None


def _recorded(folder: JobFolder) -> dict[str, Any]:
    """Provenance of the attempt that counted, or of the newest one that has any."""
    numbers = list(reversed(folder.attempts()))
    with contextlib.suppress(ContractError):
        numbers = [Result.load(folder.result).attempt]
    for number in numbers:
        try:
            return read_json(folder.attempt(number).provenance)
        except ContractError:
            continue
    return {}


def _git(root: Path, *arguments: str) -> str | None:
    """Git's answer about `root`, or None where there is no git or no checkout."""
    try:
        done = subprocess.run(
            ["git", "-C", str(root), *arguments], capture_output=True, text=True, timeout=30, check=False
        )
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None
