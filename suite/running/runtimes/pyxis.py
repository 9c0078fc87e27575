"""The `pyxis` runtime: a job inside a squash file, as a step of the SLURM allocation that the suite runs in."""

import os
import socket
from typing import ClassVar

from jobs.contract import JobFolder, JobSpec, Launch
from suite.running.runtimes import command, interface, variables
from suite.running.runtimes.container import DATA, JOB
from suite.running.runtimes.imagefile import ImageFile, image

_CLIENT = ("PATH", "HOME", "SLURM_JOB_ID", "SLURM_CONF")
"""What srun needs; a step's own variables would make it ask for what the suite's step was given."""


class Pyxis(ImageFile):
    """SLURM's limits hold; the network is the node's, which pyxis does not take away."""

    suffix: ClassVar[str] = ".sqsh"
    make: ClassVar[str] = "enroot import --output {file} dockerd://unsmooth-{name}:latest"
    network: ClassVar[str] = "host"

    def argv(self, folder: JobFolder, spec: JobSpec, launch: Launch, *, node: int = 0) -> list[str]:
        mounts = [f"{folder.root.absolute()}:{JOB}"]
        mounts += [f"{launch.data_source}:{DATA}:ro"] if launch.data_source else []
        return [
            *("srun", "--nodes=1", "--ntasks=1", f"--nodelist={_here()}", "--overlap", "--cpu-bind=none", "--mpi=none"),
            *((f"--mem={launch.memory_bytes // 2**20}M",) if launch.memory_bytes else ()),
            f"--container-image={image(launch.environment, self.suffix)}",
            f"--container-mounts={','.join(mounts)}",
            *("--no-container-mount-home", "--container-readonly", f"--container-workdir={JOB}"),
            *("python", *command.words(JOB, launch, node=node)),
        ]

    def environment(self, spec: JobSpec, launch: Launch) -> dict[str, str]:
        devices = ",".join(map(str, launch.devices))
        client = {name: os.environ[name] for name in _CLIENT if name in os.environ}
        return (
            client
            | interface.variables(launch)
            | variables.of_job(spec, devices=devices)
            | {"NVIDIA_VISIBLE_DEVICES": devices or "void"}
        )


def _here() -> str:
    return os.environ.get("SLURMD_NODENAME") or socket.gethostname()
