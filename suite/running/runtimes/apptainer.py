"""The `apptainer` runtime: a job inside a SIF file, without root and without a daemon."""

import os
from collections.abc import Sequence
from typing import ClassVar

from jobs.contract import JobFolder, JobSpec, Launch
from suite.running.runtimes import command, interface, variables
from suite.running.runtimes.container import DATA, JOB
from suite.running.runtimes.imagefile import ImageFile, image

_INSIDE = "APPTAINERENV_"
"""Variables with this prefix are set inside; an option would take a comma in a value for the end of it."""


class Apptainer(ImageFile):
    """The image is read-only, and home, /tmp and other processes are out of sight; see SECURITY.md for what is not."""

    suffix: ClassVar[str] = ".sif"
    make: ClassVar[str] = "apptainer build {file} docker-daemon:unsmooth-{name}:latest"
    network: ClassVar[str] = "none"

    def argv(self, folder: JobFolder, spec: JobSpec, launch: Launch, *, node: int = 0) -> list[str]:
        return [
            *("apptainer", "exec", "--containall", "--no-home", "--no-privs"),
            *(("--net", "--network", "none") if launch.network == "none" else ()),
            *(("--memory", str(launch.memory_bytes)) if launch.memory_bytes else ()),
            *(("--nv",) if launch.devices else ()),
            *("--bind", f"{folder.root.absolute()}:{JOB}", *_data(launch), "--pwd", str(JOB)),
            *(str(image(launch.environment, self.suffix)), "python", *command.words(JOB, launch, node=node)),
        ]

    def environment(self, spec: JobSpec, launch: Launch) -> dict[str, str]:
        own = variables.of_job(spec, devices=",".join(map(str, launch.devices)))
        inside = interface.variables(launch) | own
        client = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
        return client | {f"{_INSIDE}{name}": value for name, value in inside.items()}


def _data(launch: Launch) -> Sequence[str]:
    return ("--bind", f"{launch.data_source}:{DATA}:ro") if launch.data_source else ()
