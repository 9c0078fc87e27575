"""Supervises jobs without a driver: `python -m suite.running.single ORDERS FIRST TASK`, one task of a job array.

ORDERS holds a list of orders in each line, as `unsmooth submit` wrote it, upstream jobs in an array before; the array's
tasks count from line FIRST. Exit codes: 0 ok or skipped, 75 interrupted with a checkpoint, 1 failed or blocked.
"""

import dataclasses
import json
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from jobs.contract import EXIT_PREEMPTED, JobFolder, Result
from suite.planning.plan import Job
from suite.running import agenda, state
from suite.running.driver import Driver, Options
from suite.running.interrupts import Interrupts
from suite.running.order import Order
from suite.running.progress import Quiet
from suite.running.supervise import supervise


def orders(jobs: Sequence[Job], options: Options) -> list[tuple[Job, Order]]:
    """What is left to do, each with what its supervisor is told; what needs no process is settled."""
    driver = Driver(jobs, options, Quiet(), Interrupts())
    driver.agenda.open(options.redo)
    return [(job, driver.order(job)) for job in driver.agenda.waiting]


def main(orders: Path, first: int, task: int) -> int:
    """Carry out the orders of one array task; the worst exit code."""
    runs, stop_file = orders.absolute().parents[1], orders.absolute().with_name(f"{_task_name()}.stop")
    stop_file.unlink(missing_ok=True)
    before = signal.signal(signal.SIGTERM, lambda *_: stop_file.write_text("drain", encoding="utf-8"))
    line = orders.read_text(encoding="utf-8").splitlines()[first + task]
    given = [dataclasses.replace(Order.from_dict(order), stop_file=str(stop_file)) for order in json.loads(line)]
    codes = [_code(_carry_out(runs, order)) for order in given]
    signal.signal(signal.SIGTERM, before)
    stop_file.unlink(missing_ok=True)
    return max(codes, key=[0, 1, EXIT_PREEMPTED].index)


def _carry_out(runs: Path, order: Order) -> Result:
    job = Job(spec=order.spec, id=order.spec.id, entry=order.spec.task, upstream=order.spec.upstream)
    if order.stop_asked():
        return agenda.unstarted(job)
    folder = JobFolder(runs / job.id)
    if job.upstream is not None:
        upstream = state.finished(JobFolder(runs / job.upstream))
        if upstream is None or upstream.status != "ok":
            return agenda.blocked(folder, job, upstream)
    return supervise(folder, order, devices=devices(os.environ))


def devices(environment: Mapping[str, str]) -> Sequence[int]:
    """The GPUs that SLURM gave this task, as its jobs see them."""
    return [int(number) for number in environment.get("CUDA_VISIBLE_DEVICES", "").split(",") if number.isdigit()]


def _task_name() -> str:
    return os.environ.get("SLURM_JOB_ID", f"process-{os.getpid()}")


def _code(result: Result) -> int:
    failure = f" ({result.failure})" if result.failure else ""
    print(f"{result.id}: {result.status}{failure}. {result.reason or ''}".rstrip(), flush=True)
    if result.failure == "preempted":
        return EXIT_PREEMPTED
    return 0 if result.status in ("ok", "skipped") else 1


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])))
