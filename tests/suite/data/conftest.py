import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.suite.data.web import Web, serve

_NOBODY = 65534


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch) -> Iterator[Web]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with serve() as server:
        yield server


@pytest.fixture
def plain() -> Iterator[Path]:
    """A folder in which permissions count: root, whom nothing stops, is nobody for the time of the test."""
    with tempfile.TemporaryDirectory() as name:
        if os.geteuid() != 0:
            yield Path(name)
            return
        os.chown(name, _NOBODY, _NOBODY)
        os.setresuid(_NOBODY, _NOBODY, 0)
        try:
            yield Path(name)
        finally:
            os.setresuid(0, 0, 0)
