"""Builds the images of `docker/` with BuildKit, each under the name `unsmooth-NAME`, and notes them in images.lock.

Only what the Dockerfiles name is sent to the engine (.dockerignore). What a closed network needs, a pip.conf and a
bundle of certificates, is mounted while packages are installed and stays out of the image.
"""

import dataclasses
import os
import re
import subprocess
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from suite import images, provenance
from suite.errors import ImageError, UsageError
from suite.images import Image
from suite.provenance import SOURCE_ROOT

BASE = "base"
"""What the images of the tasks are built on."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recipe:
    """How images are built here."""

    engine: str = images.ENGINES[0]
    base: str | None = None  # instead of the one in base.Dockerfile
    pip_conf: Path | None = None
    ca: Path | None = None
    network: str | None = None  # of the build's steps; None: the engine's own choice
    where: Path = dataclasses.field(default_factory=images.folder)  # images.lock goes there


def build(names: Sequence[str], recipe: Recipe, tell: Callable[[str], None]) -> list[Image]:
    """Build `base`, then the images called `names`; the engine's cache makes what has not changed instant.

    Raises:
        UsageError: this is no checkout, or a file that was given is missing.
        ImageError: the engine could not build one; those before it are noted.
    """
    _refuse(recipe)
    built = []
    for name in [BASE, *names]:
        tell(f"Building {name}.")
        _run(_command(name, recipe), recipe)
        if name != BASE:
            built.append(_note(name, recipe))
            tell(f"{built[-1].reference} is {built[-1].digest}.")
    return built


def reference(name: str) -> str:
    """What the engine calls an image."""
    return f"unsmooth-{name}"


def _refuse(recipe: Recipe) -> None:
    if not (SOURCE_ROOT / "docker" / "base.Dockerfile").is_file():
        raise UsageError(f"Images are built from a checkout, and {SOURCE_ROOT} has no docker/. Build them in one.")
    for option, file in (("--pip-conf", recipe.pip_conf), ("--ca", recipe.ca)):
        if file is not None and not file.is_file():
            raise UsageError(f"{option} {file}: there is no such file.")


def _command(name: str, recipe: Recipe) -> list[str]:
    base = recipe.base if name == BASE else reference(BASE)
    stated = {"REVISION": _revision(), "VERSION": version("unsmooth")} if name != BASE else {}
    arguments = {**({"BASE": base} if base else {}), **stated}
    secrets = {"pip": recipe.pip_conf, "ca": recipe.ca}
    return [
        *(recipe.engine, "build", "--tag", reference(name), "--file", f"docker/{name}.Dockerfile"),
        *(("--network", recipe.network) if recipe.network else ()),
        *(word for key, file in secrets.items() if file for word in ("--secret", f"id={key},src={file.absolute()}")),
        *(word for key, value in arguments.items() for word in ("--build-arg", f"{key}={value}")),
        ".",
    ]


def _run(command: Sequence[str], recipe: Recipe) -> None:
    """In the checkout, with the engine's own output on the terminal."""
    environment = {**os.environ, "DOCKER_BUILDKIT": "1"}
    try:
        code = subprocess.run(command, cwd=SOURCE_ROOT, env=environment, check=False).returncode
    except FileNotFoundError as error:
        raise ImageError(
            f"There is no program {recipe.engine} here. Install it, or choose another --engine."
        ) from error
    if code != 0:
        raise ImageError(
            f"{recipe.engine} could not build {command[3]} (exit code {code}); what it said is above."
            " A docker without BuildKit cannot: it needs its plug-in buildx."
        )


def _note(name: str, recipe: Recipe) -> Image:
    git = provenance.git_version()
    image = Image(
        reference=reference(name),
        digest=_digest(name, recipe),
        base=_base(recipe),
        code=images.code(),
        git=_revision() if git else None,
        built=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    images.save(recipe.engine, name, image, recipe.where)
    return image


def _base(recipe: Recipe) -> str:
    """What `base` was built from, with its digest where the engine knows it."""
    default = re.search(r"^ARG BASE=(\S+)", (SOURCE_ROOT / "docker" / "base.Dockerfile").read_text("utf-8"), re.M)
    name = recipe.base or (default[1] if default else "unknown")
    digest = identity(recipe.engine, name)
    return f"{name} ({digest})" if digest else name


def _digest(name: str, recipe: Recipe) -> str:
    found = identity(recipe.engine, reference(name))
    if found is None:
        raise ImageError(f"{recipe.engine} has built {reference(name)} and does not find it. Look at the engine's log.")
    return found


def identity(engine: str, image: str) -> str | None:
    """The digest of an image that the engine has; None where it has none of that name, or does not answer."""
    command = [engine, "image", "inspect", "--format", "{{.Id}}", image]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return None
    digest = done.stdout.strip()
    if done.returncode != 0 or not digest:
        return None
    return digest if digest.startswith("sha256:") else f"sha256:{digest}"  # podman leaves the prefix out


def _revision() -> str:
    """The checkout's commit, marked if what is in it has been changed."""
    git = provenance.git_version()
    return f"{git['sha']}{'-dirty' if git['dirty'] else ''}" if git else "unknown"
