"""What commands print: tables and sentences for people, or one JSON document for programs."""

import dataclasses
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

_PIPE_WIDTH = 160


def document(content: object) -> None:
    """Print JSON; dataclasses become objects, paths and tuples what JSON has for them."""
    json.dump(content, sys.stdout, indent=1, default=_plain, ensure_ascii=False)
    sys.stdout.write("\n")


def _plain(value: object) -> object:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Path):
        return str(value)
    return list(value) if isinstance(value, Iterable) else str(value)


def console() -> Console:
    """Standard output, wide where it is no terminal, so that lines stay whole in pipes."""
    return Console() if sys.stdout.isatty() else Console(width=_PIPE_WIDTH)


def table(columns: Sequence[str], rows: Iterable[Sequence[str]], *, title: str | None = None) -> None:
    """Print rows under their columns; cells are taken literally."""
    result = Table(*columns, title=title, title_justify="left", box=None, pad_edge=False, title_style="bold")
    for row in rows:
        result.add_row(*(Text(cell) for cell in row))
    console().print(result)


def say(sentence: str = "") -> None:
    """One line on standard output."""
    print(sentence)


def warn(sentence: str) -> None:
    """One line beside the output, where it disturbs no pipe."""
    print(sentence, file=sys.stderr)
