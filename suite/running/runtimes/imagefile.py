"""Jobs in images that are files, which clusters use: no engine, no daemon; the container is a child process."""

import abc
import dataclasses
import functools
from pathlib import Path
from typing import ClassVar

from jobs.contract import JobSpec, Launch, file_sha256
from suite import images
from suite.running.runtimes.container import DATA
from suite.running.runtimes.local import Local


class ImageFile(Local, abc.ABC):
    """Started, stopped and swept like a local job, and run inside `NAME.SUFFIX` of the images' folder."""

    suffix: ClassVar[str]
    make: ClassVar[str]  # the command that makes the file from what `unsmooth images build` has left
    network: ClassVar[str]  # what a job on one node can reach

    def needs(self, spec: JobSpec) -> str:
        return spec.task

    def lacks(self, needed: str) -> str | None:
        file = image(needed, self.suffix)
        if file.is_file():
            return None
        build, make = images.build_command("docker", needed), self.make.format(name=needed, file=file)
        return f"There is no image {file}. Where docker is, build it with `{build}`, then `{make}`."

    def adapt(self, launch: Launch) -> Launch:
        file = image(launch.environment, self.suffix)
        return dataclasses.replace(
            launch,
            image=f"sha256:{_sha256(file, file.stat().st_mtime_ns)}" if file.is_file() else None,
            network=self.network if launch.nodes == 1 else "host",
            data_root=str(DATA) if launch.data_root else None,
            data_source=launch.data_root,
        )


def image(name: str, suffix: str) -> Path:
    """The file of an image."""
    return (images.folder() / f"{name}{suffix}").absolute()


@functools.cache
def _sha256(file: Path, changed_ns: int) -> str:
    return file_sha256(file)
