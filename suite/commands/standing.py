"""`unsmooth status`: how the jobs of a runs folder stand, without disturbing a run."""

from suite.clusters import submission
from suite.clusters.slurm import Queued
from suite.clusters.submission import Submission
from suite.commands import options, output
from suite.running import progress
from suite.running import status as standing


def status(
    *,
    runs: options.Runs = options.DEFAULT_RUNS,
    plan: options.PlanName = None,
    json: options.Json = False,
    verbose: options.Verbose = False,
) -> None:
    """Show how the jobs in a runs folder stand; with -v also the finished ones and why others failed.

    What was submitted to SLURM is asked for once, in one call.
    """
    made = submission.latest(runs)
    queued = made.queued() if made else []
    states = standing.read(runs, plan=plan, going_on=any(one.state == "RUNNING" for one in queued or ()))
    if json:
        output.document({"jobs": states, "submission": made, "queue": queued} if made else states)
        return
    shown = states if verbose else [state for state in states if state.state not in ("ok", "skipped")]
    output.say(progress.summary(states) + ".")
    if made:
        _show_queue(made, queued)
    if shown:
        output.console().print(progress.table(shown))
    for state in shown:
        if state.reason and verbose:
            output.say(f"{state.id} {state.name}: {state.reason}")


def _show_queue(made: Submission, queued: list[Queued] | None) -> None:
    name = f"SLURM job {', '.join(made.jobs)} ({made.plan}, submitted {made.submitted})"
    if queued is None:
        output.say(f"{name}: SLURM does not answer; what follows is from the files.")
    elif not queued:
        output.say(f"{name} has ended.")
    for one in queued or ():
        again = f", restarted {one.restarts} times" if one.restarts not in ("", "0") else ""
        ran = "" if one.state == "PENDING" else f", ran {one.used}, {one.left} left"
        output.say(f"SLURM job {one.id}: {one.state.lower()}{ran}{again}, {one.where}")
