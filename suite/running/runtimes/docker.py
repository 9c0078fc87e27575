"""The `docker` runtime: containers of Docker's engine."""

import os
from collections.abc import Sequence

from suite.running.runtimes.container import Container


class Docker(Container):
    """The user inside is the user outside: root stays root, though without any of its capabilities."""

    program = "docker"

    def user(self) -> Sequence[str]:
        return "--user", f"{os.getuid()}:{os.getgid()}"

    def gpus(self, devices: Sequence[int]) -> Sequence[str]:
        if not devices:
            return ()
        return (
            "--gpus",
            f'"device={",".join(map(str, devices))}"',
        )  # the quotes are docker's: a comma would end the value
