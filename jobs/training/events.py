"""The append-only event stream of one attempt: progress, metrics and the heartbeat."""

import json
import os
import time
from pathlib import Path
from typing import Any


class Events:
    """Writes one JSON line per event; only the first process of a job has a path, the others write nothing.

    A line goes out in one write to a file opened for appending, so a kill leaves at most one unfinished line;
    the next writer starts on a fresh line.
    """

    def __init__(self, path: Path | None) -> None:
        self._file = None
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(path, os.O_APPEND | os.O_CREAT | os.O_RDWR, 0o644)
            size = os.fstat(self._file).st_size
            if size and os.pread(self._file, 1, size - 1) != b"\n":
                os.write(self._file, b"\n")

    def write(self, kind: str, **fields: Any) -> None:
        if self._file is not None:
            line = json.dumps({"time": time.time(), "kind": kind} | fields, allow_nan=False)
            os.write(self._file, line.encode() + b"\n")
