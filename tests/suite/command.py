"""The real command line, run as its users run it."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any


class Command:
    """`unsmooth` in a folder, with a cache of its own."""

    def __init__(self, folder: Path, cache: Path, *, timeout_s: float = 300) -> None:
        self.folder, self.timeout_s = folder, timeout_s
        self.environment = {**os.environ, "XDG_CACHE_HOME": str(cache), "OMP_NUM_THREADS": "1", "COLUMNS": "160"}
        self.environment.pop("MLFLOW_TRACKING_URI", None)

    def __call__(self, *arguments: str | Path) -> "subprocess.CompletedProcess[str]":
        command: Sequence[str] = [sys.executable, "-m", "suite.cli", *map(str, arguments)]
        root = Path(__file__).parents[2]
        environment = {**self.environment, "PYTHONPATH": str(root)}
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=self.timeout_s,
            check=False,
        )
        assert "Traceback" not in done.stderr, done.stderr
        return done

    def json(self, *arguments: str | Path) -> Any:
        """What it prints with --json, which must be one document and nothing else."""
        return json.loads(self(*arguments, "--json").stdout)
