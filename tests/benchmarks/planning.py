"""Planning 10,000 specs, ids and all, over hashing as many documents: `python -m tests.benchmarks.planning`.

Goal: a second.
"""

import hashlib

from jobs.contract import canonical
from suite.planning.plan import Choice, Entry, Plan, expand
from tests.benchmarks.measure import ratio, table, turns
from tests.suite.described import catalogue

SPECS = 10_000


def main() -> None:
    known = catalogue()
    entry = Entry(name="graph", task="graph", arguments={"depth": list(range(1, 51))})
    choice = Choice(name="neutreno", arguments={"lam": [step / 20 for step in range(20)]})
    plan = Plan(name="large", tier="development", seeds=tuple(range(10)), entries=(entry,), variants=(choice,))
    jobs = expand(plan, known)
    assert len(jobs) == SPECS
    documents = [job.spec.to_dict() for job in jobs]
    seconds = turns(
        {
            "expand": lambda: expand(plan, known),
            "hash": lambda: [hashlib.sha256(canonical(document)).hexdigest() for document in documents],
        },
        rounds=5,
    )
    row = (SPECS, f"{min(seconds['expand']):.2f}", f"{ratio(seconds, 'expand', 'hash'):.1f}")
    print(table("Planning", ("specs", "best of 5, s", "time / hashing alone"), [row]))


if __name__ == "__main__":
    main()
