"""A seeded random killer: it deals faults from a shuffled pack, at random moments, until there are enough."""

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from jobs.contract import EXIT_PREEMPTED
from suite.planning.plan import Job
from suite.running.runtimes.local import SOURCE_ROOT
from tests.faults import driver, invariants, pack, plan
from tests.faults.fault import Fault, kill
from tests.faults.scene import Scene, marked

STORM = "UNSMOOTH_STORM"
"""Environment variable that names the runs folder in the driver and in all that Ray starts for it."""
PAUSE_S = (0.05, 0.35)
PATIENCE_S = 120.0
"""How long a plan may take to end after the last fault, and a fault to find a target."""

ENDING_S = 10.0
"""How long it takes at most until a killed process is gone."""


class StormError(AssertionError):
    """The command itself did what no fault explains."""


class Storm:
    """One runs folder, one seed; rounds of jobs until all faults have struck."""

    def __init__(
        self,
        runs: Path,
        *,
        seed: int,
        kinds: Mapping[type[Fault], int] = pack.ALL,
        size: tuple[int, int] = (100, 20),
        retry_failed: bool = False,
    ) -> None:
        """A storm of `kinds` over rounds of `size` jobs: so many that do nothing, so many that train.

        With `retry_failed` a fault may make a job fail, and the command runs it again.
        """
        self.scene, self.seed = Scene(runs, random.Random(seed)), seed
        self.kinds, self.size = kinds, size
        self._flags = ["--retry-failed"] if retry_failed else []
        self.runs = self.scene.runs
        self.jobs: list[Job] = []
        self.struck = 0
        self.first_seen: dict[str, bytes] = {}
        self._round = 0
        self._lasting: list[tuple[float, Fault]] = []
        self.log = Path(tempfile.gettempdir()) / f"storm-{os.getpid()}-{seed}.log"  # the disk of the runs may be full

    def blow(self, wanted: int, say: Callable[[str], None] = print) -> invariants.Findings:
        """Strike `wanted` times, let the command finish, and judge what it left.

        Raises:
            StormError: the command ended by itself in a way that no fault explains, or never ended.
        """
        try:
            for kind in pack.deal(self.scene.dice, wanted, self.kinds):
                self._pause()
                say(f"{self.struck + 1:4d}  {kind.name}: {self._strike(kind())}")
                self.struck += 1
            self._until(lambda: not self._goes_on(), "the plan to end")
        finally:
            self._end()
        return invariants.check(self.runs, self.jobs, self.first_seen)

    def _strike(self, fault: Fault) -> str:
        """Strike as soon as there is something to strike; of each kind that lasts there is one at a time."""
        what: list[str] = []

        def struck() -> bool:
            if not self._goes_on():
                self._next_round()
            if not self._in_the_way(fault):
                what.extend(filter(None, [fault.strike(self.scene)]))
            return bool(what)

        self._until(struck, f"a target of {fault.name!r}")
        if fault.lasts_s:
            self._lasting.append((time.monotonic() + fault.lasts_s, fault))
        return what[0]

    def _in_the_way(self, fault: Fault) -> bool:
        """Whether something lasts that cannot last beside it."""
        others = [other for _, other in self._lasting if fault.lasts_s]
        return any(other.alone or fault.alone or type(other) is type(fault) for other in others)

    def _pause(self) -> None:
        until = time.monotonic() + self.scene.dice.uniform(*PAUSE_S)
        self._until(lambda: time.monotonic() > until, "the next moment")

    def _until(self, condition: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while True:
            self._look()
            if condition():
                return
            if time.monotonic() > deadline:
                raise StormError(f"Waited {PATIENCE_S:g} s in vain for {what}. {self._tail()}")
            time.sleep(0.02)

    def _look(self) -> None:
        """Mend what has lasted long enough, and remember new results as they are."""
        now = time.monotonic()
        for due, fault in [pair for pair in self._lasting if pair[0] <= now]:
            fault.mend(self.scene)
            self._lasting.remove((due, fault))
        for path in self.runs.glob("*/result.json"):
            if path.parent.name not in self.first_seen:
                self.first_seen[path.parent.name] = path.read_bytes()

    def _goes_on(self) -> bool:
        """Whether the plan of this round has not ended; the command is started again if it was cut short."""
        process = self.scene.driver
        if process is None:
            return False
        code = process.poll()
        if code in (-signal.SIGKILL, EXIT_PREEMPTED, driver.EXIT_UNUSABLE):
            self._start()
        elif code:
            raise StormError(f"The driver ended with exit code {code}, which no fault explains. {self._tail()}")
        return code != 0

    def _next_round(self) -> None:
        self._round += 1
        idle, training = self.size
        self.jobs += plan.jobs(self._number(), idle=idle, training=training)
        self._start()

    def _number(self) -> int:
        return self.seed * 1000 + self._round

    def _start(self) -> None:
        words = [sys.executable, "-m", "tests.faults.driver", self.runs, self._number(), *self.size, *self._flags]
        with self.log.open("ab") as log:
            self.scene.driver = subprocess.Popen(
                [*map(str, words)], cwd=SOURCE_ROOT, env=environment(self.runs), stdout=log, stderr=log
            )

    def _end(self) -> None:
        """Leave nothing of the driver, of Ray and of the faults, whatever happened."""
        for _, fault in self._lasting:
            fault.mend(self.scene)
        if self.scene.driver is not None:
            self.scene.driver.kill()
            self.scene.driver.wait()
        deadline = time.monotonic() + ENDING_S
        while (left := marked(STORM, self.runs)) and time.monotonic() < deadline:
            for pid, _ in left:
                kill(pid)
            time.sleep(0.05)

    def _tail(self) -> str:
        lines = self.log.read_text(errors="replace").splitlines() if self.log.exists() else []
        return "\n".join([f"The end of {self.log}:", *lines[-20:]])


def environment(runs: Path) -> dict[str, str]:
    """What the command is started with."""
    return {**os.environ, "PYTHONPATH": str(SOURCE_ROOT), "OMP_NUM_THREADS": "1", STORM: str(runs)}
