"""fairseq's own Python environment, if there is one: `make fairseq` builds it."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.jobs.tiny import ROOT

PYTHON = os.environ.get("UNSMOOTH_FAIRSEQ_PYTHON", str(ROOT / ".venv-fairseq" / "bin" / "python"))

needed = pytest.mark.skipif(not Path(PYTHON).exists(), reason="fairseq's environment is missing: make fairseq")


def run(*arguments: str) -> tuple[int, str]:
    """Run that Python in the checkout: exit code and output."""
    done = subprocess.run(
        [PYTHON, *arguments],
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=600,
        check=False,
    )
    return done.returncode, done.stdout
