"""Jobs over several nodes: one supervisor leads, on the first node; one follows on each of the others.

The leader begins an attempt, writes where its launchers meet, and watches; a follower runs the same attempt's command
on its own node and ends it when the attempt has ended, is no longer the one that counts, or the job is asked to stop.
"""

import dataclasses
import signal
import socket
from collections.abc import Sequence
from typing import Protocol

from jobs.contract import JobFolder, Launch
from suite.running import prepare
from suite.running.order import Order
from suite.running.runtimes import registry
from suite.running.runtimes.process import Process


class Gang(Protocol):
    """The other nodes of a job, as its leader sees them."""

    address: str
    """The leader's address, as the others reach it."""

    def start(self, attempt: int) -> None:
        """Let the others follow this attempt, whose launch.json is written."""

    def lost(self) -> bool:
        """Whether a follower is gone, with its node or its supervisor."""

    def join(self, timeout_s: float) -> None:
        """Wait until the followers have ended."""


def rendezvous(gang: Gang) -> str:
    """host:port at which the launchers of the next attempt meet; the port was free a moment ago."""
    with socket.socket() as probe:
        probe.bind((gang.address, 0))
        return f"{gang.address}:{probe.getsockname()[1]}"


def follow(folder: JobFolder, order: Order, number: int, *, node: int, devices: Sequence[int]) -> int:
    """Run the `node`-th node's part of an attempt; the command's exit code, negative for a signal."""
    attempt, runtime = folder.attempt(number), registry.find(order.runtime)
    launch = dataclasses.replace(Launch.load(attempt.launch), devices=list(devices))
    process = Process.start(
        runtime.argv(folder, order.spec, launch, node=node),
        environment=runtime.environment(order.spec, launch),
        attempt=attempt,
        cwd=folder.root,
        death_signal=signal.SIGTERM,
        node=node,
    )
    asked = False
    try:
        while not process.wait(order.poll_s):
            if _over(folder, number) or order.stop_asked() == "now":
                break
            if order.stop_asked() and not asked:
                runtime.stop(attempt, process, now=False)
                asked = True
    finally:
        if process.exit_code is None:
            runtime.stop(attempt, process, now=True)
        code = process.finish()
        runtime.ended(attempt, process)
    return code


def _over(folder: JobFolder, number: int) -> bool:
    """Whether the attempt has ended, or another one counts now."""
    return prepare.ending_path(folder, number).exists() or folder.attempts()[-1:] != [number]
