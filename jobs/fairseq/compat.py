"""Lets the unmodified fairseq 0.12.2 be imported on Python 3.11; import this before anything of fairseq.

Its configuration classes are dataclasses that have instances of each other as defaults. Python 3.11 refuses a default
that has no hash, which is what a dataclass with `eq` is given; while fairseq is imported they keep `object`'s.
"""

import dataclasses
import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def _hashable_dataclasses() -> Iterator[None]:
    original: Any = dataclasses.dataclass

    def dataclass(cls: type | None = None, /, **options: Any) -> Any:
        def decorate(undecorated: type) -> type:
            made: Any = original(**options)(undecorated)
            if made.__hash__ is None:
                made.__hash__ = object.__hash__
            return made

        return decorate if cls is None else decorate(cls)

    dataclasses.dataclass = dataclass
    try:
        yield
    finally:
        dataclasses.dataclass = original


with _hashable_dataclasses():
    importlib.import_module("fairseq")
