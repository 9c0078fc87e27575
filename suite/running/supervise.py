"""Runs one job to its end: attempt after attempt, each watched from outside, until there is a result to publish."""

import dataclasses
import errno
import signal
import time
from collections.abc import Sequence

from jobs.contract import AttemptFolder, JobFolder, Launch, Result
from suite.running import classify, gpus, prepare, retry, state
from suite.running.gang import Gang, rendezvous
from suite.running.order import Order
from suite.running.runtimes import registry
from suite.running.runtimes.process import Process
from suite.running.runtimes.runtime import Runtime
from suite.running.vitals import Overdue, Vitals

LOG_BYTES = 256 * 2**20
"""Size of a log beyond which a job is stopped."""

_NO_SPACE = (errno.ENOSPC, errno.EDQUOT)


@dataclasses.dataclass(frozen=True)
class _Seat:
    """Where a job runs: its GPUs on this node, and whoever follows on the others."""

    devices: list[int]
    gang: Gang | None


def supervise(folder: JobFolder, order: Order, *, devices: Sequence[int] = (), gang: Gang | None = None) -> Result:
    """Run the job on `devices` (GPU indices; none means CPU) and publish its result; one that is there stands.

    A result of class `preempted` is returned and not published: the job was asked to stop, or another supervisor
    has taken it over. Given the same order again it goes on from its checkpoint. The same holds for a disk so full
    that nothing can be published, after as many pauses as the order allows retries; and for `node_lost`: another node
    of the job's is gone, so it has to be placed anew.

    Raises:
        PrepareError: the folder cannot be made ready.
    """
    try:
        prepare.spec(folder, order.spec)
        prepare.fence(folder)
        if (result := state.finished(folder)) is not None:  # by a supervisor that was thought to be lost
            return result
        return _run(folder, order, _Seat(list(devices), gang))
    except OSError as error:
        if error.errno not in _NO_SPACE:
            raise
        result = _no_space(folder, order, error)
    if order.retries and _pause(retry.POLICIES["disk"].pause_s * order.pause_scale, order):
        return supervise(folder, dataclasses.replace(order, retries=order.retries - 1), devices=devices, gang=gang)
    return result


def _no_space(folder: JobFolder, order: Order, error: OSError) -> Result:
    """What is returned, and cannot be published, where nothing can be written."""
    return Result(
        id=order.spec.id,
        attempt=max(folder.attempts(), default=0),
        status="failed",
        failure="disk",
        reason=f"The disk is full: {error.strerror} ({error.filename or folder.root}).",
        advice=retry.POLICIES["disk"].advice,
    )


def _run(folder: JobFolder, order: Order, seat: _Seat) -> Result:
    """Attempts until one counts."""
    endings: list[retry.Ending] = []
    micro_batch, highest_step = order.micro_batch, 0
    while True:
        result, step = _attempt(folder, order, seat, micro_batch)
        if result.failure == "node_lost":
            return result
        if result.status != "failed" or _is_over(folder, order, result):
            return _close(folder, result)
        endings.append(retry.Ending(failure=result.failure or "error", progressed=step > highest_step))
        highest_step = max(highest_step, step)
        decision = retry.decide(endings, budget=order.retries)
        if decision.halve_micro_batch:
            micro_batch = retry.halved(
                micro_batch, per_process=order.spec.global_batch // (order.nodes * order.processes)
            )
        if not decision.retry or (decision.halve_micro_batch and micro_batch is None):
            return _publish(folder, result)
        if not _pause(decision.pause_s * order.pause_scale, order):
            return _close(folder, result)


def _attempt(folder: JobFolder, order: Order, seat: _Seat, micro_batch: int | None) -> tuple[Result, int]:
    """One attempt: what came of it, and the highest step it completed."""
    meeting = rendezvous(seat.gang) if seat.gang else None
    launch = prepare.begin(folder, order, devices=seat.devices, micro_batch=micro_batch, rendezvous=meeting)
    attempt, runtime = folder.attempt(launch.attempt), registry.find(order.runtime)
    if reason := runtime.lacks(launch.environment):
        return _unstartable(folder, order, launch, reason), 0
    if seat.gang:
        seat.gang.start(launch.attempt)
    vitals = Vitals(attempt.events)
    process = _start(runtime, folder, order, launch)
    try:
        seen = _watch(process, runtime, order, vitals, _Claim(folder, launch.attempt), seat.gang)
    except BaseException:
        runtime.stop(attempt, process, now=True)
        raise
    finally:
        exit_code = process.finish()
    if seat.gang and seen == classify.Seen():
        seat.gang.join(order.grace_s)  # by themselves: what they say last tells who began
        seen = classify.Seen(lost=seat.gang.lost())
    ending = runtime.ended(attempt, process)
    if ending.unstarted is not None:
        result = _unstartable(folder, order, launch, ending.unstarted)
    else:
        facts = classify.Facts(
            spec=order.spec,
            attempt=launch.attempt,
            exit_code=exit_code,
            vitals=vitals,
            seen=seen,
            out_of_memory=ending.out_of_memory,
            killed=ending.killed,
        )
        result = classify.result(attempt, facts)
        prepare.note_ending(folder, result)
    if seat.gang and not seen.lost:
        seat.gang.join(order.grace_s)
    if seat.devices:
        _free(seat.devices, runtime, attempt)
    return result, vitals.highest_step


def _free(devices: Sequence[int], runtime: Runtime, attempt: AttemptFolder) -> None:
    """Make sure that nothing of the attempt still holds GPU memory, and say in its log who else does."""
    left = {*runtime.sweep(attempt), *(f"process {pid} ({used})" for pid, used in gpus.holders(devices).items())}
    if left:
        with attempt.log.open("a", encoding="utf-8") as log:
            log.write(f"After the job, memory of GPUs {devices} is still held by {', '.join(sorted(left))}.\n")


def _unstartable(folder: JobFolder, order: Order, launch: Launch, reason: str) -> Result:
    """What its runtime needs is not on this machine: nothing was started."""
    advice = retry.POLICIES["image"].advice
    result = Result(
        id=order.spec.id, attempt=launch.attempt, status="failed", failure="image", reason=reason, advice=advice
    )
    prepare.note_ending(folder, result)
    return result


def _start(runtime: Runtime, folder: JobFolder, order: Order, launch: Launch) -> Process:
    return Process.start(
        runtime.argv(folder, order.spec, launch),
        environment=runtime.environment(order.spec, launch),
        attempt=folder.attempt(launch.attempt),
        cwd=folder.root,
        # a launcher of several processes has to be asked, so that it takes them with it
        death_signal=signal.SIGKILL if launch.processes == launch.nodes == 1 else signal.SIGTERM,
    )


@dataclasses.dataclass(frozen=True)
class _Claim:
    """An attempt's claim to be the one that counts; it ends as soon as another one begins."""

    folder: JobFolder
    attempt: int

    def holds(self) -> bool:
        return self.folder.attempts()[-1:] == [self.attempt]


def _watch(
    process: Process, runtime: Runtime, order: Order, vitals: Vitals, claim: _Claim, gang: Gang | None
) -> classify.Seen:
    """Wait for the end and see to it."""
    limits_s, seen = order.limits(), classify.Seen()
    while not process.wait(order.poll_s):
        vitals.refresh()
        seen = classify.Seen(
            overdue=vitals.overdue(limits_s) or _overgrown(claim),
            stopped=order.stop_asked() is not None or not claim.holds(),
            lost=gang is not None and gang.lost(),
        )
        if seen.lost:
            runtime.stop(claim.folder.attempt(claim.attempt), process, now=True)
            process.wait()
        if seen.overdue or seen.stopped:
            _stop(process, runtime, order, claim)
        if seen != classify.Seen():
            break
    vitals.refresh()
    return seen


def _overgrown(claim: _Claim) -> Overdue | None:
    """Logs that would fill the disk."""
    logs = claim.folder.attempt(claim.attempt).root.glob("log*.txt")
    if sum(log.lstat().st_size for log in logs) <= LOG_BYTES:
        return None
    return Overdue(failure="error", reason=f"The job's log grew past {LOG_BYTES >> 20} MB, and the job was stopped.")


def _stop(process: Process, runtime: Runtime, order: Order, claim: _Claim) -> None:
    """Ask the job to end, and end it when its time of grace is over or nobody wants to wait."""
    attempt = claim.folder.attempt(claim.attempt)
    if claim.holds() and order.stop_asked() != "now":
        runtime.stop(attempt, process, now=False)
        deadline = time.monotonic() + order.grace_s
        while time.monotonic() < deadline and order.stop_asked() != "now":
            if process.wait(order.poll_s):
                return
    runtime.stop(attempt, process, now=True)
    process.wait()


def _is_over(folder: JobFolder, order: Order, result: Result) -> bool:
    """Whether there must be no further attempt, whatever the table says."""
    return order.stop_asked() is not None or not _Claim(folder, result.attempt).holds()


def _pause(pause_s: float, order: Order) -> bool:
    """Wait; False if the job was asked to stop meanwhile."""
    deadline = time.monotonic() + pause_s
    while order.stop_asked() is None:
        left_s = deadline - time.monotonic()
        if left_s <= 0:
            return True
        time.sleep(min(left_s, order.poll_s))
    return False


def _close(folder: JobFolder, result: Result) -> Result:
    """Publish what stands for good; anything that another attempt could better is given back as `preempted`."""
    if not _Claim(folder, result.attempt).holds():
        return _unfinished(result, f"Another supervisor has taken job {result.id} over.")
    if result.status != "failed" or not retry.POLICIES[result.failure or "error"].retried:
        return _publish(folder, result)
    return _unfinished(result, result.reason)


def _unfinished(result: Result, reason: str | None) -> Result:
    advice = retry.POLICIES["preempted"].advice
    return dataclasses.replace(result, status="failed", failure="preempted", reason=reason, advice=advice)


def _publish(folder: JobFolder, result: Result) -> Result:
    """Write result.json, unless a newer attempt has begun meanwhile."""
    if not _Claim(folder, result.attempt).holds():
        return _close(folder, result)
    prepare.clear_half_written(folder)
    result.save(folder.result)
    return result
