"""What a test of this folder needs of the machine: where it is missing, CI fails and everybody else skips."""

import os
import shutil

import pytest


def require(*programs: str) -> None:
    """Skip, or fail where UNSMOOTH_CLUSTER is set, unless this is root's machine and has these programs."""
    missing = [program for program in programs if shutil.which(program) is None]
    if os.geteuid() == 0 and not missing:
        return
    reason = f"It needs {', '.join(missing)}." if missing else "It needs root."
    if os.environ.get("UNSMOOTH_CLUSTER"):
        pytest.fail(reason)
    pytest.skip(reason)
