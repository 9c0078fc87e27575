"""Answers that took long, kept in the user's cache folder; losing them makes commands slower, not wrong."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jobs.contract import SCHEMA, ContractError, read_json, write_json

KEPT = 64
"""Answers of a kind that are kept; the oldest go first."""


def folder() -> Path:
    """`$XDG_CACHE_HOME/unsmooth`, or `~/.cache/unsmooth`."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "unsmooth"


def recall(kind: str, key: str) -> dict[str, Any] | None:
    """A former answer; None where there is none or it is damaged, so that it is sought and written anew."""
    try:
        answer = read_json(_path(kind, key))
    except (ContractError, OSError):
        return None
    return answer if answer.get("schema") == SCHEMA else None


def keep(kind: str, key: str, answer: Mapping[str, Any]) -> None:
    """Keep an answer, which says its `schema`, as long as it is among the newest of its kind."""
    path = _path(kind, key)
    try:
        write_json(path, answer)
        kept = sorted(path.parent.glob(f"{kind}-*.json"), key=lambda entry: entry.stat().st_mtime)
        for old in kept[:-KEPT]:
            old.unlink(missing_ok=True)
    except OSError:
        return  # a read-only or full home


def _path(kind: str, key: str) -> Path:
    return folder() / f"{kind}-{key[:24]}.json"
