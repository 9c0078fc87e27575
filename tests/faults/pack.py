"""The faults of a storm, shuffled like cards."""

import random
from collections.abc import Iterator, Mapping, Sequence

from tests.faults import files, kills
from tests.faults.fault import Fault

ALL: Mapping[type[Fault], int] = {
    kills.JobKilled: 30,
    kills.JobAsked: 6,
    kills.JobFrozen: 10,
    kills.SupervisorKilled: 16,
    kills.SupervisorFrozen: 4,
    files.SupervisorHalfWay: 8,
    files.FilesEmptied: 4,
    files.CheckpointDamaged: 12,
    files.EventsCutShort: 8,
    files.LateOutput: 4,
    kills.SupervisorCutOff: 1,
    kills.DriverKilled: 1,
    kills.DriverPreempted: 1,
    kills.DriverFrozen: 3,
    kills.RayletKilled: 1,
    kills.HeadKilled: 1,
}
"""How many of each there are in a pack; a storm deals shuffled packs. What needs a new Ray costs seconds."""


def deal(dice: random.Random, wanted: int, kinds: Mapping[type[Fault], int] = ALL) -> Iterator[type[Fault]]:
    """`wanted` faults from shuffled packs."""
    dealt = 0
    while dealt < wanted:
        cards: Sequence[type[Fault]] = [kind for kind, count in kinds.items() for _ in range(count)]
        for kind in dice.sample(cards, len(cards))[: wanted - dealt]:
            yield kind
            dealt += 1
