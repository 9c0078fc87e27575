"""How often a board calls one of twenty variants better that do nothing: `python -m tests.benchmarks.chance`.

Each simulation is one setting: the baseline and twenty variants, each with normal values of one distribution over the
same seeds, which have an effect of their own that all share. Goal: at most 5 % of the settings call any variant better,
plus three standard errors of 10,000 simulations; without Holm's correction it is many times that.
"""

import math

import numpy

from suite.leaderboard.statistics import compare, corrected
from tests.benchmarks.measure import table

VARIANTS, SIMULATIONS = 20, 10_000


def shares(seeds: int, simulations: int = SIMULATIONS) -> tuple[float, float]:
    """Of the settings, those with a variant that is called better: with the correction and without."""
    random = numpy.random.default_rng(seeds)
    with_it, without = 0, 0
    for _ in range(simulations):
        values = random.normal(size=(VARIANTS + 1, seeds)) + 2 * random.normal(size=seeds)
        baseline, *others = (dict(enumerate(row)) for row in values.tolist())
        alone = [compare(other, baseline=baseline, better="higher") for other in others]
        without += any(one.verdict == "better" for one in alone)
        with_it += any(one is not None and one.verdict == "better" for one in corrected(alone, better="higher"))
    return with_it / simulations, without / simulations


def main() -> None:
    limit = 0.05 + 3 * math.sqrt(0.05 * 0.95 / SIMULATIONS)
    rows = []
    for seeds in (3, 5, 10):
        found, uncorrected = shares(seeds)
        rows.append((str(seeds), f"{found:.2%}", f"{uncorrected:.1%}", f"{limit:.2%}"))
    header = ("seeds", "called better by chance", "without Holm's correction", "goal")
    title = f"Settings with a false 'better', of {SIMULATIONS:,} with {VARIANTS} variants that do nothing"
    print(table(title, header, rows))


if __name__ == "__main__":
    main()
