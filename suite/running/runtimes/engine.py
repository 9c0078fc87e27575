"""A container engine, asked through its command line, which knows where it is and how to reach it."""

import dataclasses
import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterable
from typing import Any, Self

from suite.running.runtimes import variables

ANSWER_S = 60.0
"""Time within which an engine answers, or is taken to be away."""

BACK_S = 60.0
"""Time that an engine which went away in the middle of a job is given to come back."""

REFUSED = 125
"""What the client ends with when the engine, not the job, has failed."""

_AWAY = re.compile(
    r"cannot connect|error during connect|connection refused|permission denied.*connect|EOF$", re.I | re.M
)


class EngineAway(Exception):
    """The engine did not answer; its message says what to do."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class State:
    """What the engine knows about a container."""

    started: bool
    running: bool
    out_of_memory: bool
    error: str

    @classmethod
    def of(cls, document: dict[str, Any]) -> Self:
        """From what `inspect` prints."""
        status = document["Status"]
        return cls(
            started=status not in ("created", "configured", "initialized"),
            running=status in ("running", "paused"),
            out_of_memory=bool(document["OOMKilled"]),
            error=str(document.get("Error") or ""),
        )


class Engine:
    """The engine that `program` talks to."""

    def __init__(self, program: str) -> None:
        self.program = program

    def has_image(self, digest: str) -> bool:
        return self._ask("image", "inspect", "--format", "{{.Id}}", digest).returncode == 0

    def state(self, container: str) -> State | None:
        """None where there is no such container."""
        done = self._ask("container", "inspect", "--format", "{{json .State}}", container)
        return State.of(json.loads(done.stdout)) if done.returncode == 0 else None

    def kill(self, container: str, number: signal.Signals) -> bool:
        """Send a signal to its first process, which passes it on; False where nothing of that name runs."""
        return self._ask("kill", "--signal", number.name.removeprefix("SIG"), container).returncode == 0

    def remove(self, container: str) -> bool:
        """End and remove it; True where there is none of that name any more."""
        done = self._ask("rm", "--force", container)
        return done.returncode == 0 or "no such container" in done.stderr.lower()

    def remove_all(self, label: str) -> list[str]:
        """End and remove every container with this label; those that would not go."""
        found = self._ask("ps", "--all", "--quiet", "--filter", f"label={label}").stdout.split()
        return [container for container in found if not self.remove(container)]

    def wait_for_it(self) -> bool:
        """Wait until it answers, if it has gone away; whether it had.

        Raises:
            EngineAway: it did not come back.
        """
        deadline, was_away = time.monotonic() + BACK_S, False
        while True:
            try:
                self._ask("version", "--format", "{{.Server.Version}}")
            except EngineAway:
                if time.monotonic() > deadline:
                    raise
                was_away = True
                time.sleep(1.0)
            else:
                return was_away

    def _ask(self, *words: str) -> "subprocess.CompletedProcess[str]":
        """What it answered, whether it did what was asked or not."""
        environment = variables.scrubbed(os.environ)
        try:
            done = subprocess.run(
                [self.program, *words], capture_output=True, text=True, timeout=ANSWER_S, check=False, env=environment
            )
        except FileNotFoundError as error:
            raise EngineAway(
                f"There is no program {self.program} here. Install it, or choose another --runtime."
            ) from error
        except subprocess.TimeoutExpired as error:
            raise EngineAway(f"{self.program} has not answered for {ANSWER_S:g} s: see to its engine.") from error
        if done.returncode != 0 and _AWAY.search(done.stderr):
            said = last_line(done.stderr.splitlines())
            raise EngineAway(f"{self.program} reaches no engine: {said} Start it, or get the right to use it.")
        return done


def last_line(lines: Iterable[str]) -> str:
    """The last line with something in it, as a sentence."""
    said = [line.strip() for line in lines if line.strip()]
    return f"{said[-1].rstrip('.')}." if said else "it did not say why."
