"""Run one job: `python -m jobs JOB_DIR [--attempt K]` reads spec.json there and leaves output.json in its attempt.

`python -m jobs doctor` says what this environment can run.

Exit codes: 0 done (also skipped), 75 preempted with a checkpoint written, 1 failed with the class in output.json.
"""

import argparse
import errno
import importlib
import os
import re
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

import torch

from jobs import doctor
from jobs.contract import EXIT_PREEMPTED, JobFolder, JobSpec, Launch, Result
from jobs.errors import DiskFull, JobError, OutOfMemory, PeerLost, Preempted, Skipped, VariantError
from jobs.training.attempt import Run
from jobs.training.energy import Meter, counters
from jobs.training.events import Events
from jobs.training.processes import Processes
from jobs.training.run import execute, variant_class
from jobs.training.stop import Stop

_PEER = re.compile(r"Connection (closed|reset) by peer|Broken pipe|NCCL.*(remote process exited|timed? ?out)", re.I)
"""What a collective says when the process at the other end is gone."""


def main(arguments: list[str]) -> int:
    """Run the job in the folder given; returns the exit code."""
    if arguments == ["doctor"]:
        return doctor.main()
    parser = argparse.ArgumentParser(prog="python -m jobs")
    parser.add_argument("job_dir", type=Path, help="the folder that holds spec.json")
    parser.add_argument("--attempt", type=int, help="a supervisor's attempt; without it the newest, or a first one")
    options = parser.parse_args(arguments)
    if not (options.job_dir / "spec.json").is_file():
        parser.error(f"{options.job_dir} is no job folder: it holds no spec.json.")
    stop = Stop()
    run = _open(JobFolder(options.job_dir.resolve()), options.attempt, stop)
    stop.install()
    try:
        try:
            result = trainer(run)(run)
            stop.ignore()
        except Exception as error:  # noqa: BLE001  # the one place: whatever happened becomes a result
            result = _failed(run, error)
            if not isinstance(error, Preempted | Skipped):
                traceback.print_exc()
        _leave(run, result)
    finally:
        run.processes.close()
    if result.failure == "preempted":
        return EXIT_PREEMPTED
    return 1 if result.status == "failed" else 0


def _leave(run: Run, result: Result) -> None:
    """Write the output: the leading process any, another one its own failure; whoever lost a peer leaves it to that."""
    output = run.folder.attempt(run.launch.attempt).output
    if result.failure in (Preempted.failure, PeerLost.failure):
        return
    if run.processes.leads or (result.status == "failed" and not output.exists()):
        result.save(output)


def _open(folder: JobFolder, number: int | None, stop: Stop) -> Run:
    spec = JobSpec.load(folder.spec)
    number = number or max(folder.attempts(), default=0)
    if not number:  # started by hand: the supervisor writes this file otherwise
        number = 1
        Launch(attempt=number).save(folder.attempt(number).launch)
    attempt = folder.attempt(number)
    torch.set_num_threads(spec.threads)
    if spec.deterministic:
        os.environ["CUBLAS_WORKSPACE_CONFIG"] = ":4096:8"  # what makes cuBLAS repeat itself; read when it starts
        torch.use_deterministic_algorithms(True)
    processes = Processes()
    events = Events(attempt.events if processes.leads else None)
    metered = processes.device.type == "cuda" or processes.leads  # a processor is shared by all, a GPU is not
    meter = Meter(counters(processes.device) if metered else [])
    return Run(spec, Launch.load(attempt.launch), folder, events, processes, stop, meter)


def trainer(run: Run) -> Callable[[Run], Result]:
    """The shared loop, or fairseq's own trainer where the spec's engine is that."""
    if run.spec.engine != "fairseq":
        return execute
    try:
        return importlib.import_module("jobs.fairseq.driver").execute
    except ModuleNotFoundError as error:
        raise JobError(
            f"engine: fairseq needs fairseq's own environment, and here {error.name} is missing; run `make fairseq`."
        ) from error


def _failed(run: Run, error: Exception) -> Result:
    """The result of a job that ended with `error`, its class found and its reason put in a sentence."""
    known = _classify(run, error)
    failure = None if isinstance(known, Skipped) else known.failure
    reason = str(known)
    if not isinstance(known, PeerLost):
        run.events.write("preempted" if failure == "preempted" else "failed", failure=failure, reason=reason)
    status = "skipped" if failure is None else "failed"
    advice = known.advice
    return Result(
        id=run.spec.id, attempt=run.launch.attempt, status=status, failure=failure, reason=reason, advice=advice
    )


def _classify(run: Run, error: Exception) -> JobError:
    if isinstance(error, JobError):
        return error
    text = f"{type(error).__name__}: {error}"
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)) or "can't allocate memory" in text:
        return OutOfMemory(text.splitlines()[0])
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DiskFull(text)
    if run.processes.count > 1 and _PEER.search(text):
        return PeerLost(text.splitlines()[0])
    place = _line_in_variant(run, error)
    if place:
        return VariantError(f"{place}: {text.splitlines()[0]}")
    return JobError(text.splitlines()[0])


def _line_in_variant(run: Run, error: Exception) -> str | None:
    """`file, line n` of the innermost frame inside the variant's own file, if the error passed through it."""
    try:
        source = sys.modules[variant_class(run).__module__].__file__
    except JobError:
        return None
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == source]
    return f"{Path(frames[-1].filename).name}, line {frames[-1].lineno}" if frames else None


if __name__ == "__main__":
    code = main(sys.argv[1:])
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # data-loader and gloo threads have been seen to abort a clean exit
