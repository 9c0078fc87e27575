"""SLURM's own commands, called seldom, with a time limit, and once for everything that is asked."""

import dataclasses
import subprocess
from collections.abc import Sequence
from pathlib import Path

from suite.errors import ClusterError, UsageError

LIMIT_S = 30.0
"""Seconds SLURM may take to answer."""

_FIELDS = (("JobArrayID", 40), ("State", 20), ("TimeUsed", 20), ("TimeLeft", 20), ("RestartCnt", 10), ("NumNodes", 10))
_LAST = ("ReasonList", 200)  # the nodes of a running job, the reason why one waits


@dataclasses.dataclass(frozen=True, kw_only=True)
class Queued:
    """What SLURM says of one job, or of the waiting part of an array."""

    id: str
    state: str  # PENDING, RUNNING, COMPLETING, ...
    used: str
    left: str
    restarts: str
    nodes: str
    where: str  # nodes, or in brackets the reason for waiting


def submit(script: Path, *arguments: str, options: Sequence[str] = ()) -> str:
    """Hand a script in; SLURM's number of the job.

    Raises:
        UsageError: there is no sbatch here, or it refuses the script.
    """
    done = _call("sbatch", "--parsable", *options, str(script), *arguments)
    if done.returncode != 0:
        raise UsageError(f"sbatch refuses {script}: {done.stderr.strip()} Correct the site file and submit again.")
    return done.stdout.strip().split(";")[0]


def queue(ids: Sequence[str]) -> list[Queued] | None:
    """Those of `ids` that SLURM still has in its queue, a line each; None where it does not answer.

    A number that SLURM has forgotten is no error: such a job has ended.
    """
    columns = ",".join(f"{name}:{width}" for name, width in (*_FIELDS, _LAST))
    try:
        done = _call("squeue", "--noheader", "--states=all", f"--Format={columns}", f"--jobs={','.join(ids)}")
    except (UsageError, ClusterError):
        return None
    if done.returncode != 0:
        return [] if "Invalid job id" in done.stderr else None
    lines = [_queued(line) for line in done.stdout.splitlines() if line.strip()]
    return [line for line in lines if line.state not in _ENDED]


_ENDED = (
    "COMPLETED",
    "FAILED",
    "CANCELLED",
    "TIMEOUT",
    "NODE_FAIL",
    "OUT_OF_MEMORY",
    "DEADLINE",
    "BOOT_FAIL",
    "PREEMPTED",
)


def _queued(line: str) -> Queued:
    words, at = [], 0
    for _, width in (*_FIELDS, _LAST):
        words.append(line[at : at + width].strip())
        at += width
    return Queued(**dict(zip((field.name for field in dataclasses.fields(Queued)), words, strict=True)))


def stop(ids: Sequence[str], *, now: bool) -> None:
    """Ask the jobs' scripts to stop, or end them `now`, with whatever has not begun.

    Raises:
        ClusterError: SLURM refuses.
    """
    if not now:
        _refused(_call("scancel", "--state=PENDING", *ids))
    _refused(_call("scancel", *(() if now else ("--batch", "--signal=TERM")), *ids))


def largest_array() -> int:
    """The highest number of tasks that SLURM allows in one array."""
    done = _call("scontrol", "show", "config")
    sizes = [line.split("=")[1].strip() for line in done.stdout.splitlines() if line.startswith("MaxArraySize")]
    return int(sizes[0]) - 1 if sizes else 1000


def _refused(done: "subprocess.CompletedProcess[str]") -> None:
    if done.returncode != 0 and "Invalid job id" not in done.stderr and "already completed" not in done.stderr:
        raise ClusterError(f"{done.args[0]} failed: {done.stderr.strip()}")


def _call(*command: str) -> "subprocess.CompletedProcess[str]":
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    except FileNotFoundError as error:
        raise UsageError(
            f"There is no {command[0]} on this machine. Submit from a login node of the cluster, or use --dry-run."
        ) from error
    except subprocess.TimeoutExpired as error:
        raise ClusterError(f"{command[0]} did not answer within {LIMIT_S:g} s. Try again later.") from error
