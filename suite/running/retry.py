"""What happens after an attempt has failed: one table, by failure class, and the rule that reads it.

A failure that came from outside (preempted, node_lost, killed) is tried again free of charge as long as the job
gets on between two of them; the others use up the job's budget of retries, and a finding is never tried again.
"""

import dataclasses
from collections.abc import Mapping, Sequence

FRUITLESS = 5
"""How many free retries in a row may end without a new step before the job is given up."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Policy:
    """One row of the table. Every retry resumes from the newest checkpoint, if there is one."""

    retried: bool
    uses_budget: bool = True
    at_most: int | None = None  # retries for this class alone, whatever the budget still holds
    pause_s: float = 0.0  # wait before the retry: the cause may pass
    halves_micro_batch: bool = False  # at the same global batch
    advice: str


POLICIES: Mapping[str, Policy] = {
    "preempted": Policy(
        retried=True, uses_budget=False, advice="Run the same command again; the job goes on from its checkpoint."
    ),
    "node_lost": Policy(
        retried=True,
        uses_budget=False,
        advice="Machines were lost again and again without a step done; look at their logs, then run it again.",
    ),
    "killed": Policy(
        retried=True,
        uses_budget=False,
        advice="Find out who sends the signal (a memory watchdog, a cluster's time limit), then use --retry-failed.",
    ),
    "image": Policy(
        retried=True, pause_s=60.0, advice="See to the image or environment that is named, then use --retry-failed."
    ),
    "disk": Policy(
        retried=True,
        pause_s=60.0,
        advice="Free space, or raise the quota, for the runs folder and the temporary files; then use --retry-failed.",
    ),
    "oom": Policy(
        retried=True,
        halves_micro_batch=True,
        advice="Lower --micro-batch (the global batch stays the same) or take more memory, then use --retry-failed.",
    ),
    "hang": Policy(
        retried=True,
        at_most=1,
        advice="Look at the end of the log; if steps really take this long, raise limits_s.heartbeat in the plan.",
    ),
    "timeout": Policy(
        retried=True, at_most=1, advice="Raise limits_s of this phase in the plan, or lower the number of steps."
    ),
    "nan": Policy(retried=False, advice="This is a finding: the variant diverges in this setting."),
    "variant_error": Policy(
        retried=False,
        advice="Correct the variant file (`unsmooth list --variant-file FILE` says whether it can be loaded),"
        " then use --retry-failed.",
    ),
    "data": Policy(retried=False, advice="Check the folder given with --data: what is missing is named above."),
    "error": Policy(retried=True, at_most=1, advice="Look at the end of the log, then use --retry-failed."),
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Ending:
    """How one attempt failed."""

    failure: str
    progressed: bool  # it completed a step that no attempt before it had completed


@dataclasses.dataclass(frozen=True, kw_only=True)
class Decision:
    """Whether there is another attempt, and how it differs from the last."""

    retry: bool
    pause_s: float = 0.0
    halve_micro_batch: bool = False


def decide(endings: Sequence[Ending], *, budget: int) -> Decision:
    """What follows the last of `endings`, the failed attempts of one command in order; `budget` retries at most.

    >>> decide([Ending(failure="oom", progressed=False)], budget=2)
    Decision(retry=True, pause_s=0.0, halve_micro_batch=True)
    """
    last = endings[-1].failure
    policy = POLICIES[last]
    if not policy.retried or not _allowed(endings, policy, budget):
        return Decision(retry=False)
    return Decision(retry=True, pause_s=policy.pause_s, halve_micro_batch=policy.halves_micro_batch)


def _allowed(endings: Sequence[Ending], policy: Policy, budget: int) -> bool:
    failures = [ending.failure for ending in endings]
    if not policy.uses_budget:
        return _fruitless(endings) <= FRUITLESS
    if policy.at_most is not None and failures.count(failures[-1]) > policy.at_most:
        return False
    return sum(POLICIES[failure].uses_budget for failure in failures) <= budget


def _fruitless(endings: Sequence[Ending]) -> int:
    """Number of free endings at the end of the list since the job last got on."""
    count = 0
    for ending in reversed(endings):
        if ending.progressed or POLICIES[ending.failure].uses_budget:
            break
        count += 1
    return count


def halved(micro_batch: int | None, *, per_process: int) -> int | None:
    """The largest divisor of `per_process` samples that is at most half of `micro_batch`; None if it was 1 already.

    >>> halved(None, per_process=12), halved(6, per_process=12), halved(1, per_process=12)
    (6, 3, None)
    """
    current = min(micro_batch or per_process, per_process)
    return next((size for size in range(current // 2, 0, -1) if per_process % size == 0), None)
