"""A seeded random killer: round after round of jobs, hit again and again, until enough faults have struck."""

import dataclasses
import os
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.faults import invariants, work
from tests.faults.faults import Fault

ROOT = Path(__file__).parents[2]
ROUND_S = 180.0
"""Seconds after which a round that has not ended is taken to hang."""


@dataclasses.dataclass
class Tally:
    """What a storm has done, and what came of it."""

    struck: Counter[str] = dataclasses.field(default_factory=Counter)
    jobs: int = 0
    problems: list[str] = dataclasses.field(default_factory=list)

    @property
    def faults(self) -> int:
        return self.struck.total()

    def sentence(self) -> str:
        """`112 faults, 240 jobs: 0 lost, 0 duplicated, 0 changed, 0 left over.`"""
        count = Counter(problem.split()[0] for problem in self.problems)
        kinds = ", ".join(f"{count[kind]} {kind.replace('_', ' ')}" for kind in invariants.KINDS)
        return f"{self.faults} faults, {self.jobs} jobs: {kinds}."


class Storm:
    """One seed's storm over one runs folder."""

    def __init__(
        self, runs: Path, *, seed: int, kinds: Sequence[Fault], say: Callable[[str], None] = lambda line: None
    ) -> None:
        self.runs, self.draw, self.kinds, self.say = runs.absolute(), random.Random(seed), kinds, say
        self.tally = Tally()
        self._driver: subprocess.Popen[bytes] | None = None

    @property
    def driver(self) -> int:
        """The driver's process id."""
        assert self._driver is not None
        return self._driver.pid

    def run(self, faults: int) -> Tally:
        """Rounds of jobs until so many faults have struck; each ends with every job done and looked at."""
        round_ = 0
        while self.tally.faults < faults:
            round_ += 1
            self._round(round_, faults)
        return self.tally

    def _round(self, round_: int, faults: int) -> None:
        jobs = work.plan(round_)
        seen: dict[str, int] = {}
        began, self._driver = time.monotonic(), self._start(round_)
        try:
            while (code := self._driver.poll()) != 0:
                assert time.monotonic() < began + ROUND_S, f"round {round_} did not end within {ROUND_S:g} s"
                if code is not None:
                    self._driver = self._start(round_)  # the same command goes on
                time.sleep(self.draw.uniform(0.02, 0.25))
                seen |= invariants.published(self.runs, jobs, besides=seen)
                if self.tally.faults < faults:
                    self._strike()
        finally:
            self._driver.kill()
            self._driver.wait()
        self.tally.jobs += len(jobs)
        self.tally.problems += invariants.broken(self.runs, jobs, seen)

    def _start(self, round_: int) -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-m", "tests.faults.work", str(self.runs), str(round_)]
        with (self.runs.parent / "driver.log").open("ab") as log:
            return subprocess.Popen(
                command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)},
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip

    def _strike(self) -> None:
        fault = self.draw.choices(self.kinds, [kind.weight for kind in self.kinds])[0]
        if (hit := fault.strike(self)) is not None:
            self.tally.struck[fault.name] += 1
            self.say(f"{self.tally.faults}: {fault.name}: {hit}")
