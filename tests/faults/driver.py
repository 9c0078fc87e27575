"""The command that a storm starts again and again: the real scheduler over a storm's jobs.

Run as `python -m tests.faults.driver RUNS SEED IDLE TRAINING`. Exit code 0: every job has ended; 75: it was asked to
stop; 76: Ray was lost for good. All but 0 mean "run it again".
"""

import sys
from pathlib import Path

from jobs.contract import EXIT_PREEMPTED
from suite.errors import ClusterError
from suite.running import scheduler
from suite.running.driver import Options
from suite.running.progress import Lines
from tests.faults import plan

EXIT_NO_CLUSTER = 76


def main(runs: Path, seed: int, idle: int, training: int) -> int:
    """Run what is left of the storm's plan."""
    planned = plan.jobs(seed, idle=idle, training=training)
    options = Options(runs=runs, runtime=plan.NAME, cpus=4, grace_s=5.0, weights=plan.shuffled(planned, seed))
    try:
        results = scheduler.run(planned, options, Lines(sys.stdout))
    except ClusterError as error:
        print(error)
        return EXIT_NO_CLUSTER
    return EXIT_PREEMPTED if any(result.failure == "preempted" for result in results) else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), *map(int, sys.argv[2:5])))
