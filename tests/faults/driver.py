"""The command that a storm starts again and again: the real scheduler over a storm's jobs.

Run as `python -m tests.faults.driver RUNS SEED IDLE TRAINING [--retry-failed]`. Exit code 0: every job has ended;
75: it was asked to stop, or, with --retry-failed, a job has failed; 76: Ray was lost for good, or the runs folder
cannot be used at the moment. All but 0 mean "run it again".
"""

import sys
from pathlib import Path

from jobs.contract import EXIT_PREEMPTED
from suite.errors import UnsmoothError
from suite.running import scheduler
from suite.running.agenda import Redo
from suite.running.driver import Options
from suite.running.progress import Lines
from tests.faults import plan

EXIT_UNUSABLE = 76


def main(runs: Path, seed: int, idle: int, training: int, *, retry_failed: bool) -> int:
    """Run what is left of the storm's plan."""
    planned = plan.jobs(seed, idle=idle, training=training)
    options = Options(
        runs=runs,
        runtime=plan.NAME,
        cpus=4,
        grace_s=5.0,
        pause_scale=0.01,
        redo=Redo(failed=retry_failed),
        weights=plan.shuffled(planned, seed),
    )
    try:
        results = scheduler.run(planned, options, Lines(sys.stdout))
    except UnsmoothError as error:
        print(error)
        return EXIT_UNUSABLE
    again = any(result.failure == "preempted" or (retry_failed and result.status == "failed") for result in results)
    return EXIT_PREEMPTED if again else 0


if __name__ == "__main__":
    words = [word for word in sys.argv[1:] if word != "--retry-failed"]
    sys.exit(main(Path(words[0]), *map(int, words[1:]), retry_failed="--retry-failed" in sys.argv))
