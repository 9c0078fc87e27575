"""Which images jobs run in: what was built, from what, and whether it still holds this checkout's jobs.

    docker/images.lock    {"schema", "images": {engine: {name: Image}}}, written by `unsmooth images build`
    docker/NAME.sif       where the runtime is apptainer; NAME.sqsh where it is pyxis

UNSMOOTH_IMAGES names another folder than the checkout's `docker/` for these files.
"""

import dataclasses
import functools
import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

from jobs.contract import SCHEMA, ContractError, file_sha256, read_json, write_json
from suite.errors import UsageError
from suite.provenance import SOURCE_ROOT

NAMES = ("classification", "segmentation", "language", "graph")
"""One image for each task; `base` is what they are built on."""

ENGINES = ("docker", "podman")
"""What can build them."""

VARIABLE = "UNSMOOTH_IMAGES"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Image:
    """An image as it was built."""

    reference: str  # what the engine calls it
    digest: str  # identifies its contents
    base: str  # what it was built from
    code: str  # digest of the jobs in it
    git: str | None  # the checkout's commit
    built: str  # ISO 8601, UTC


def folder() -> Path:
    """Where images.lock and image files lie."""
    return Path(os.environ.get(VARIABLE) or SOURCE_ROOT / "docker")


def load(engine: str, where: Path | None = None) -> Mapping[str, Image]:
    """What was built with `engine`, by name; empty before the first build.

    Raises:
        UsageError: the file is damaged or of another version.
    """
    return {name: Image(**fields) for name, fields in _read(where or folder()).get(engine, {}).items()}


def save(engine: str, name: str, image: Image, where: Path) -> None:
    """Note that `engine` now has `image` under this name."""
    images = _read(where)
    images.setdefault(engine, {})[name] = dataclasses.asdict(image)
    write_json(path(where), {"schema": SCHEMA, "images": images})


def path(where: Path) -> Path:
    """The lock file in a folder."""
    return where / "images.lock"


def outdated(engine: str, name: str) -> str | None:
    """Why what runs in this image would be stale from the start: one sentence; None if it would not."""
    image = load(engine).get(name)
    if image is None or image.code == code():
        return None
    return f"The image {name} holds other jobs than this checkout. Build it again with `{build_command(engine, name)}`."


def build_command(engine: str, *names: str) -> str:
    """What to type."""
    choice = () if engine == ENGINES[0] else ("--engine", engine)
    return " ".join(["unsmooth", "images", "build", *names, *choice])


@functools.cache
def code(root: Path = SOURCE_ROOT) -> str:
    """SHA-256 over the modules and plans of `jobs` below `root`."""
    digest = hashlib.sha256()
    for file in sorted((root / "jobs").rglob("*.py")):
        digest.update(f"{file.relative_to(root)} {file_sha256(file)}\n".encode())
    return digest.hexdigest()


def _read(where: Path) -> dict[str, dict[str, dict[str, str]]]:
    if not path(where).exists():
        return {}
    try:
        document = read_json(path(where))
        if document["schema"] != SCHEMA:
            raise ContractError(f"{path(where)}: schema {document['schema']!r}; this version reads schema {SCHEMA}.")
        return dict(document["images"])
    except (ContractError, KeyError) as error:
        raise UsageError(f"{error} Delete {path(where)} and build the images again.") from error
