"""Why an attempt ended, as a result: from what the job wrote, how it ended, and the end of its log."""

import dataclasses
import re
import signal
from pathlib import Path

from jobs.contract import EXIT_PREEMPTED, FAILURES, AttemptFolder, ContractError, JobSpec, Result
from suite.running import retry
from suite.running.vitals import Overdue, Vitals

TAIL_LINES = 20
_FROM_OUTSIDE = frozenset(
    {signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGXCPU, signal.SIGUSR1}
)
_OUT_OF_MEMORY = re.compile(
    r"out of memory|OutOfMemoryError|^MemoryError|Cannot allocate memory|can't allocate memory|std::bad_alloc", re.M
)
_DISK_FULL = re.compile(r"No space left on device|Disk quota exceeded")
_GANG_EXIT = re.compile(r"Root Cause.*?exitcode\s*:\s*(-?\d+)", re.S)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Seen:
    """Why the supervisor ended an attempt, if it did."""

    overdue: Overdue | None = None  # the limit that was overrun
    stopped: bool = False  # asked to stop, or another attempt counts now
    lost: bool = False  # another node of the job's is gone


@dataclasses.dataclass(frozen=True, kw_only=True)
class Facts:
    """What the supervisor saw of an attempt that has ended."""

    spec: JobSpec
    attempt: int
    exit_code: int  # negative for a signal
    vitals: Vitals
    seen: Seen = Seen()
    out_of_memory: bool = False  # the kernel ended a process for want of memory meanwhile
    killed: bool = False  # something from outside ended it, whatever the exit code says


def result(folder: AttemptFolder, facts: Facts) -> Result:
    """The job's own output where it is a success or a finding; otherwise a failed result that says what happened."""
    output = _output(folder, facts)
    if output is not None and output.status in ("ok", "skipped"):
        return output
    log = tail(folder.log)
    failure, reason = _failure(facts, output, [*_others(folder), *log])
    return Result(
        id=facts.spec.id,
        attempt=facts.attempt,
        status="failed",
        failure=failure,
        reason=reason,
        advice=(output.advice if output and output.failure == failure else None) or retry.POLICIES[failure].advice,
        exit_code=exit_status(facts.exit_code),
        log_tail=log[-TAIL_LINES:],
        cost=output.cost if output else {},
    )


def exit_status(code: int) -> int:
    """As a shell gives it: 128 + n for signal n."""
    return code if code >= 0 else 128 - code


def tail(log: Path, *, lines: int = 200) -> list[str]:
    """The last lines of a log, as a terminal would show them: of a progress bar only its last state."""
    if not log.exists():
        return []
    with log.open("rb") as file:
        file.seek(max(log.stat().st_size - 64 * 1024, 0))
        text = file.read().decode(errors="replace")
    return [line.rstrip().rpartition("\r")[2] for line in text.split("\n") if line.strip()][-lines:]


def _others(folder: AttemptFolder) -> list[str]:
    """The ends of the logs that a job's further nodes have left."""
    return [line for path in sorted(folder.root.glob("log-*.txt")) for line in tail(path)]


def _output(folder: AttemptFolder, facts: Facts) -> Result | None:
    """What the job wrote, unless it is missing or not about this attempt."""
    try:
        output = Result.load(folder.output)
    except ContractError:
        return None
    return output if (output.id, output.attempt) == (facts.spec.id, facts.attempt) else None


def _failure(facts: Facts, output: Result | None, log: list[str]) -> tuple[str, str]:
    """Failure class and reason; what the supervisor did itself comes before what the job said about it."""
    if facts.seen.lost:
        return "node_lost", f"{_who(facts.spec)} lost one of its nodes after step {facts.vitals.step}."
    if facts.seen.overdue is not None:
        return facts.seen.overdue.failure, facts.seen.overdue.reason
    if facts.exit_code == EXIT_PREEMPTED or facts.vitals.preempted or facts.seen.stopped:
        return "preempted", f"{_who(facts.spec)} was asked to stop at step {facts.vitals.step}."
    if output is not None and output.failure in FAILURES:
        return output.failure, output.reason or f"{_who(facts.spec)} failed without giving a reason."
    if facts.vitals.failed is not None and facts.vitals.failed.get("failure") in FAILURES:
        return facts.vitals.failed["failure"], str(facts.vitals.failed.get("reason"))
    return _by_exit(facts, "\n".join(log), log[-1] if log else "its log is empty")


def _by_exit(facts: Facts, log: str, last_line: str) -> tuple[str, str]:
    code = min(map(int, _GANG_EXIT.findall(log)), default=facts.exit_code)  # a signal before its echo elsewhere
    number = _signal(code)
    ended = f"was ended by {number.name}" if number else f"ended with exit code {code}"
    if _DISK_FULL.search(log):
        return "disk", f"{_who(facts.spec)} {ended}: the disk is full."
    if facts.out_of_memory or _OUT_OF_MEMORY.search(log):
        return "oom", f"{_who(facts.spec)} {ended}: out of memory."
    if number is None and facts.killed:
        return "killed", f"{_who(facts.spec)} {ended}: its container was ended from outside, or lost."
    if number in _FROM_OUTSIDE:
        usually = " (exit 137, usually out of memory)" if number == signal.SIGKILL else ""
        return "killed", f"{_who(facts.spec)} {ended}{usually}."
    without = " without an output" if code == 0 else ""
    return "error", f"{_who(facts.spec)} {ended}{without}; the last line of its log: {last_line}"


def _signal(code: int) -> signal.Signals | None:
    """The signal of an exit code as Python (negative) or a shell (above 128) gives it."""
    number = -code if code < 0 else code - 128
    return signal.Signals(number) if number in signal.valid_signals() and number > 0 else None


def _who(spec: JobSpec) -> str:
    return f"Job {spec.id} ({spec.task}, {spec.variant}, seed {spec.seed})"
