"""`unsmooth status`: how the jobs of a runs folder stand, without disturbing a run."""

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
    """Show how the jobs in a runs folder stand; with -v also the finished ones and why others failed."""
    states = standing.read(runs, plan=plan)
    if json:
        output.document(states)
        return
    shown = states if verbose else [state for state in states if state.state not in ("ok", "skipped")]
    output.say(progress.summary(states) + ".")
    if shown:
        output.console().print(progress.table(shown))
    for state in shown:
        if state.reason and verbose:
            output.say(f"{state.id} {state.name}: {state.reason}")
