"""What openmmlab's packages do while they are imported."""

import os
import subprocess
import sys
from pathlib import Path

from jobs.openmmlab import uncached


def test_half_a_grammar_in_the_users_cache_stops_no_job(tmp_path: Path) -> None:
    def imported(module: str) -> int:
        environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path)}
        return subprocess.run(
            [sys.executable, "-c", f"import {module}"], env=environment, capture_output=True
        ).returncode

    assert imported("yapf") == 0
    written = list(tmp_path.rglob("*.pickle"))
    assert written, "yapf keeps nothing any more: jobs.openmmlab can do without `uncached`"
    for grammar in written:
        grammar.write_bytes(grammar.read_bytes()[:100])
    assert imported("yapf") != 0
    assert imported("jobs.openmmlab") == 0


def test_the_users_cache_is_back_afterwards() -> None:
    before = dict(os.environ)
    with uncached():
        assert os.environ["XDG_CACHE_HOME"] == os.devnull
    assert dict(os.environ) == before
