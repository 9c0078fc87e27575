"""What measuring over-smoothing costs, in finished jobs: `python -m tests.benchmarks.diagnostics RUNS [RUNS ...]`.

A job writes a `profile` event as soon as it has measured every layer; what lies between it and the event before is the
measurement. Goal: at most 2 % of the time spent in training steps.
"""

import statistics
import sys
from collections import defaultdict
from itertools import pairwise
from pathlib import Path

from jobs.contract import JobFolder, JobSpec, Result, read_events
from tests.benchmarks.measure import table


def share(folder: JobFolder) -> float | None:
    """Time of measuring over time of training steps, of a job that one attempt finished."""
    result = Result.load(folder.result)
    if result.status != "ok" or folder.attempts() != [1]:
        return None
    events = [event for _, event in read_events(folder.attempt(1).events)]
    spent = sum(after["time"] - one["time"] for one, after in pairwise(events) if after["kind"] == "profile")
    return float(spent / result.cost["train_s"])


def compared(runs: list[Path]) -> str:
    """A line for each setting."""
    shares: dict[tuple[str, str, str, str], list[float]] = defaultdict(list)
    for path in sorted(path for folder in runs for path in folder.glob("*/result.json")):
        folder = JobFolder(path.parent)
        spec, found = JobSpec.load(folder.spec), share(folder)
        if found is not None:
            model, depth = spec.arguments.get("model", ""), spec.arguments.get("depth", "")
            shares[spec.task, spec.data, str(model), f"{depth}"].append(found)
    rows = [
        (*place, str(len(found)), f"{statistics.median(found):.2%}", f"{max(found):.2%}")
        for place, found in sorted(shares.items())
    ]
    header = ("task", "data", "model", "depth", "jobs", "median share", "largest share")
    return table("Measuring over-smoothing, share of the time of training", header, rows)


if __name__ == "__main__":
    print(compared([Path(name) for name in sys.argv[1:]]))
