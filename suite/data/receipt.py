"""What is written down beside the data: checksums found at the first sight of files that nobody has published any for.

<data root>/.unsmooth/<name>.json    {"schema", "files": {path: {"check", "how", "when"}}, "tree": the same or null}
"""

import dataclasses
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from jobs.contract import SCHEMA, ContractError, read_json, write_json
from suite.data.checksum import Checksum

FOLDER = ".unsmooth"
"""Holds receipts, and downloads while they arrive; no part of any data set."""


@dataclasses.dataclass(frozen=True)
class Receipt:
    """What was recorded of one data set."""

    path: Path
    files: Mapping[str, Mapping[str, Any]]  # path below the data set's folder -> check, how, when
    tree: Mapping[str, Any] | None = None

    def check(self, path: str) -> Checksum | None:
        """The recorded checksum of a file."""
        return _checksum(self.files.get(path))

    @property
    def whole(self) -> Checksum | None:
        """The recorded checksum over all pictures."""
        return _checksum(self.tree)

    def with_file(self, path: str, check: Checksum, how: str) -> "Receipt":
        return dataclasses.replace(self, files={**self.files, path: _entry(check, how)})

    def with_tree(self, check: Checksum, how: str) -> "Receipt":
        return dataclasses.replace(self, tree=_entry(check, how))

    def save(self) -> None:
        """Raises OSError where the data root cannot be written."""
        write_json(self.path, {"schema": SCHEMA, "files": self.files, "tree": self.tree})


def load(root: Path, name: str) -> Receipt:
    """What was recorded below `root`; a receipt that cannot be read counts as none."""
    path = root / FOLDER / f"{name}.json"
    try:
        document = read_json(path)
        files, tree = document["files"], document.get("tree")
        for entry in (*files.values(), tree):
            _checksum(entry)
        return Receipt(path, files, tree)
    except (ContractError, OSError, AttributeError, KeyError, TypeError, ValueError):
        return Receipt(path, {})


def _checksum(entry: Mapping[str, Any] | None) -> Checksum | None:
    return None if entry is None else Checksum.of(entry["check"])


def _entry(check: Checksum, how: str) -> dict[str, Any]:
    return {"check": str(check), "how": how, "when": datetime.now(UTC).isoformat(timespec="seconds")}
