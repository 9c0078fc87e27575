"""The `podman` runtime: containers without an engine that runs all the time, and without root."""

import os
from collections.abc import Sequence

from suite.running.runtimes.container import Container
from suite.running.runtimes.engine import State
from suite.running.runtimes.process import Process, machine_oom_kills


class Podman(Container):
    """Like docker, but for the user's name space, the names of GPUs, and that it does not tell want of memory."""

    program = "podman"
    limits = ()  # those of its containers.conf, which naming one here would put out of force

    def user(self) -> Sequence[str]:
        if os.getuid() == 0:
            return "--user", "0:0"
        return "--userns", "keep-id"

    def gpus(self, devices: Sequence[int]) -> Sequence[str]:
        return [word for device in devices for word in ("--device", f"nvidia.com/gpu={device}")]

    def out_of_memory(self, state: State, process: Process) -> bool:
        """The kernel has ended a process somewhere on the machine, and one of this container was ended."""
        return state.out_of_memory or machine_oom_kills() > process.machine_oom_kills_before
