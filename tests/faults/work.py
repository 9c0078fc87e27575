"""The driver of a storm, a process of its own: `python -m tests.faults.work RUNS ROUND`, the same command every time."""

import sys
from pathlib import Path

from jobs.contract import JobFolder, JobSpec, Launch
from suite.planning.plan import Job
from suite.running import scheduler
from suite.running.driver import Options
from suite.running.progress import Quiet
from suite.running.runtimes.local import Local

TINY, NOOP = 12, 24
"""Jobs of a round: some that train for a second or two, and some that do nothing."""


class Folding(Local):
    """The local runtime with the storm's program in it."""

    def argv(self, folder: JobFolder, spec: JobSpec, launch: Launch, *, node: int = 0) -> list[str]:
        return [sys.executable, "-m", "tests.faults.program", str(folder.root), str(launch.attempt)]


RUNTIME = Folding()


def plan(round_: int) -> list[Job]:
    """The jobs of one round; no two rounds share one."""
    jobs = [_job(round_ * 1000 + number, steps=20) for number in range(TINY)]
    return jobs + [_job(round_ * 1000 + 100 + number, steps=0) for number in range(NOOP)]


def _job(seed: int, *, steps: int) -> Job:
    spec = JobSpec(
        task="fold", data="none", split="default", arguments={"step_s": 0.05}, variant="softmax",
        variant_arguments={}, seed=seed, steps=steps, global_batch=1,
    )  # fmt: skip
    return Job(spec=spec, id=spec.id, entry="fold")


def main(runs: Path, round_: int) -> int:
    """Run what is left; 0 if every job is ok."""
    options = Options(runs=runs, runtime="tests.faults.work:RUNTIME", cpus=3, pause_scale=0.02, grace_s=5.0)
    results = scheduler.run(plan(round_), options, Quiet())
    return 0 if all(result.status == "ok" for result in results) else 1


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), int(sys.argv[2])))
