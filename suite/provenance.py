"""Where results come from: the checkout's version, and whether the code and the data behind a result are the same.

Beside what the job itself writes down in provenance.json, the supervisor notes before each attempt which files the
data root holds of its data set:

    attempts/<k>/data.json    {"name", "root", "place", "stamp", "digest", "files", "bytes"}; see suite.data.fingerprint
"""

import contextlib
import functools
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from jobs.contract import (
    AttemptFolder,
    ContractError,
    JobFolder,
    JobSpec,
    Result,
    file_sha256,
    read_json,
    write_json,
)
from suite.data import sets
from suite.data.fingerprint import Listing

SOURCE_ROOT = Path(__file__).resolve().parents[1]
"""The folder that holds the packages `suite` and `jobs`."""


def git_version(root: Path = SOURCE_ROOT) -> dict[str, Any]:
    """`{"sha": ..., "dirty": ...}` of the checkout at `root`; empty where that is not a checkout."""
    sha = _git(root, "rev-parse", "HEAD")
    if sha is None:
        return {}
    return {"sha": sha.strip(), "dirty": bool(_git(root, "status", "--porcelain", "--", "jobs", "suite"))}


def stale(folder: JobFolder, *, root: Path = SOURCE_ROOT, data_root: Path | None = None) -> str | None:
    """Why the result of this job no longer stands, naming what changed; None while it does.

    Args:
        data_root: where the data sets lie now; None: where they lay when the job ran.
    """
    code = _recorded(folder, provenance_path).get("code", {})
    return changed_code(code, root=root) or changed_data(folder, data_root=data_root)


def changed_data(folder: JobFolder, *, data_root: Path | None = None) -> str | None:
    """`the data set camvid has changed since`, if other files lie where the job's lay, or below `data_root`.

    None also where that cannot be told: the folder is not on this machine, or nothing was noted.
    """
    noted = _recorded(folder, data_path)
    if not noted:
        return None
    now = _listed_now((data_root or Path(noted["root"])).absolute() / noted["place"], noted["name"])
    return None if now is None or now.same(noted) else f"the data set {noted['name']} has changed since"


def note_data(attempt: AttemptFolder, spec: JobSpec, data_root: str | None) -> None:
    """Write down which files the data root holds of the job's data set; nothing for one that is embedded."""
    place = sets.place(spec.data, spec.arguments)
    if data_root is None or place is None:
        return
    try:
        listed = Listing.of(Path(data_root) / place, functools.partial(sets.concerns, spec.data))
        stated = listed.to_dict() if listed is not None else None
    except OSError:  # the job will say what it cannot read
        return
    if stated is not None:
        write_json(data_path(attempt), {"name": spec.data, "root": data_root, "place": place, **stated})


def provenance_path(attempt: AttemptFolder) -> Path:
    """What the job wrote down."""
    return attempt.provenance


def data_path(attempt: AttemptFolder) -> Path:
    """What the supervisor noted of the data."""
    return attempt.root / "data.json"


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
    _listed_now.cache_clear()


@functools.cache
def _sha256_now(path: Path) -> str | None:
    return file_sha256(path) if path.is_file() else None


@functools.cache
def _listed_now(place: Path, name: str) -> Listing | None:
    try:
        return Listing.of(place, functools.partial(sets.concerns, name))
    except OSError:
        return None


def _recorded(folder: JobFolder, path: Callable[[AttemptFolder], Path]) -> dict[str, Any]:
    """What the file at `path` says of the attempt that counted, or of the newest one that has it."""
    numbers = list(reversed(folder.attempts()))
    with contextlib.suppress(ContractError):
        numbers = [Result.load(folder.result).attempt]
    for number in numbers:
        try:
            return read_json(path(folder.attempt(number)))
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
