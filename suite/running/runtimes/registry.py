"""Runtimes by name: the built-in ones, or `module:attribute` for one that is written elsewhere."""

import importlib
from collections.abc import Mapping
from typing import cast

from suite.errors import UsageError, unknown
from suite.running.runtimes.apptainer import Apptainer
from suite.running.runtimes.docker import Docker
from suite.running.runtimes.local import Local
from suite.running.runtimes.podman import Podman
from suite.running.runtimes.pyxis import Pyxis
from suite.running.runtimes.runtime import Runtime

BUILT_IN: Mapping[str, Runtime] = {
    "local": Local(),
    "docker": Docker(),
    "podman": Podman(),
    "apptainer": Apptainer(),
    "pyxis": Pyxis(),
}


def find(name: str) -> Runtime:
    """The runtime called `name`.

    Raises:
        UsageError: there is none of that name, or it cannot be imported.
    """
    if name in BUILT_IN:
        return BUILT_IN[name]
    module, colon, attribute = name.partition(":")
    if not colon:
        raise UsageError(f"{unknown('runtime', name, BUILT_IN)} One written elsewhere is named `module:attribute`.")
    try:
        return cast(Runtime, getattr(importlib.import_module(module), attribute))
    except (ImportError, AttributeError) as error:
        raise UsageError(f"Runtime {name!r} cannot be imported: {error}. It must name an importable object.") from error
