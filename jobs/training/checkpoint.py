"""Checkpoints: written aside, flushed, renamed, checksummed; the last two, the best and the final one are kept."""

import io
import os
from pathlib import Path
from typing import Any

import torch

from jobs.contract import file_sha256


def save(path: Path, document: dict[str, Any]) -> None:
    """Write `document` to `path` and its checksum beside it; a reader sees a whole file or none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    buffer = io.BytesIO()
    torch.save(document, buffer)
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    with aside.open("wb") as file:
        file.write(buffer.getbuffer())
        file.flush()
        os.fsync(file.fileno())
    digest = file_sha256(aside)
    _sum(path).unlink(missing_ok=True)  # so that no moment pairs the new file with the old checksum
    aside.replace(path)
    aside.write_text(digest, encoding="ascii")
    aside.replace(_sum(path))


def load(path: Path) -> dict[str, Any] | None:
    """The document in `path`, or None if the file or its checksum is missing or does not match."""
    if not path.exists() or not _sum(path).exists() or _sum(path).read_text(encoding="ascii") != file_sha256(path):
        return None
    document: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    return document


def save_step(folder: Path, step: int, document: dict[str, Any], *, keep: int = 2) -> None:
    """Save the checkpoint after `step` steps and drop all but the newest `keep`."""
    save(folder / f"step-{step}.pt", document)
    for _, path in _steps(folder)[:-keep]:
        _sum(path).unlink(missing_ok=True)
        path.unlink()


def best(folder: Path, step: int) -> Path:
    """Where the weights of the best validation so far lie; named by step, so that an older one stands for replays."""
    return folder / f"best-{step}.pt"


def drop_best(folder: Path, *, keep: tuple[int | None, ...]) -> None:
    """Drop the best weights that no kept checkpoint refers to."""
    kept = {best(folder, step) for step in keep if step is not None}
    for path in set(folder.glob("best-*.pt")) - kept:
        _sum(path).unlink(missing_ok=True)
        path.unlink()


def newest(folder: Path) -> tuple[dict[str, Any] | None, list[Path]]:
    """The newest sound step checkpoint, and the damaged ones passed over on the way."""
    damaged: list[Path] = []
    for _, path in reversed(_steps(folder)):
        document = load(path)
        if document is not None:
            return document, damaged
        damaged.append(path)
    return None, damaged


def tidy(folder: Path, damaged: list[Path]) -> None:
    """Remove damaged checkpoints, which must not count among the newest, and what killed processes half wrote."""
    for path in [*damaged, *folder.glob(".*.pt.*")]:
        _sum(path).unlink(missing_ok=True)
        path.unlink(missing_ok=True)


def _sum(path: Path) -> Path:
    return path.with_name(path.name + ".sha256")


def _steps(folder: Path) -> list[tuple[int, Path]]:
    return sorted((int(path.stem.removeprefix("step-")), path) for path in folder.glob("step-*.pt"))
