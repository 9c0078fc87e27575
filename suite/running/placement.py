"""Who runs where: the largest waiting job goes first, smaller ones fill what it cannot use. Pure; Ray carries it out.

A job takes the nodes on which the least is left over, so that whole nodes stay free for gangs. The first job for which
there is no room yet reserves the nodes that will be free for it soonest; a smaller one may pass it there only if it is
expected to have ended by then, or fits beside it.
"""

import dataclasses
import math
from collections.abc import Iterable, Mapping, Sequence

SUSPECT_S = 45.0
"""Seconds for which a node on which something was lost gets no job: about as long as Ray takes to notice its death."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Room:
    """CPUs and GPUs of one node."""

    cpus: float
    gpus: float

    def holds(self, other: "Room") -> bool:
        return other.cpus <= self.cpus and other.gpus <= self.gpus

    def __add__(self, other: "Room") -> "Room":
        return Room(cpus=self.cpus + other.cpus, gpus=self.gpus + other.gpus)

    def __sub__(self, other: "Room") -> "Room":
        return Room(cpus=self.cpus - other.cpus, gpus=self.gpus - other.gpus)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Wish:
    """What a job asks for: so much on each of so many nodes, for about so long."""

    nodes: int = 1
    cpus: int
    gpus: int = 0
    lasts_s: float = math.inf  # expected; for ever where nobody knows

    @property
    def size(self) -> tuple[int, int]:
        """What is compared first when the largest goes first."""
        return self.nodes * self.gpus, self.nodes * self.cpus


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Lease:
    nodes: tuple[str, ...]
    each: Room
    ends: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Reservation:
    nodes: tuple[str, ...]
    each: Room
    begins: float


class Floor:
    """The nodes of a cluster, and what is running on them."""

    def __init__(self) -> None:
        self._nodes: dict[str, Room] = {}
        self._ever: dict[str, Room] = {}
        self._suspects: dict[str, float] = {}
        self._leases: dict[str, _Lease] = {}
        self._reserved: _Reservation | None = None
        self._refused: set[tuple[int, int, int]] = set()

    def update(self, nodes: Mapping[str, Room], now: float = 0.0) -> None:
        """The nodes that are up now."""
        self._suspects = {name: until for name, until in self._suspects.items() if until > now}
        self._nodes = {name: room for name, room in nodes.items() if name not in self._suspects}
        self._ever |= nodes
        self.look_again()

    def suspect(self, nodes: Iterable[str], now: float) -> None:
        """Something was lost on these nodes, which may be gone although they still count as up; never the only node."""
        if len(self._ever) > 1:
            self._suspects |= dict.fromkeys(nodes, now + SUSPECT_S)
            self._nodes = {name: room for name, room in self._nodes.items() if name not in self._suspects}

    def look_again(self) -> None:
        """A new round begins: the largest job is asked for first, and reserves what it cannot have yet."""
        self._reserved = None
        self._refused.clear()

    def possible(self, wish: Wish) -> bool:
        """Whether the cluster, as large as it has ever been, could hold it when nothing else runs."""
        return not self._ever or len(self._fitting(wish, self._ever)) >= wish.nodes

    def offer(self, wish: Wish, now: float) -> tuple[str, ...] | None:
        """The nodes it may have now, the first for its leading process; None if it has to wait.

        Args:
            now: seconds on the clock that leases were taken by.
        """
        each = self._each(wish)
        shape = (wish.nodes, wish.cpus, wish.gpus)
        if shape in self._refused:
            return None
        free = self._free()
        allowed = {name: room for name, room in free.items() if self._may_use(name, room, each, now + wish.lasts_s)}
        found = _tightest(self._fitting(wish, allowed), free, wish.nodes)
        if found is None and len(self._fitting(wish, free)) < wish.nodes:
            self._refused.add(shape)
            self._reserve(wish, now)
        return found

    def take(self, key: str, nodes: Sequence[str], wish: Wish, now: float) -> Room:
        """`key` runs on these nodes from now on; what it takes of each."""
        lease = _Lease(nodes=tuple(nodes), each=self._each(wish), ends=now + wish.lasts_s)
        self._leases[key] = lease
        return lease.each

    def release(self, key: str) -> None:
        """`key` has ended."""
        del self._leases[key]
        self.look_again()

    def __str__(self) -> str:
        """The cluster in words, as large as it has ever been."""
        return ", ".join(sorted(f"a node with {room.gpus:g} GPUs" for room in self._ever.values())) or "no node"

    def _each(self, wish: Wish) -> Room:
        """What it takes of each node; more CPUs than the largest node has mean a whole node."""
        most = max((room.cpus for room in self._nodes.values()), default=wish.cpus)
        return Room(cpus=min(wish.cpus, most), gpus=wish.gpus)

    def _free(self, leases: Iterable[_Lease] | None = None) -> dict[str, Room]:
        free = dict(self._nodes)
        for lease in self._leases.values() if leases is None else leases:
            for name in lease.nodes:
                if name in free:
                    free[name] -= lease.each
        return free

    def _fitting(self, wish: Wish, free: Mapping[str, Room]) -> list[str]:
        each = self._each(wish)
        return [name for name, room in free.items() if room.holds(each)]

    def _may_use(self, name: str, room: Room, each: Room, ends: float) -> bool:
        """Whether this does not put off the job for which the node is reserved."""
        if self._reserved is None or name not in self._reserved.nodes or ends <= self._reserved.begins:
            return True
        then = self._free(lease for lease in self._leases.values() if lease.ends > self._reserved.begins)
        return then[name].holds(self._reserved.each + each)

    def _reserve(self, wish: Wish, now: float) -> None:
        """Set aside the nodes on which there is room soonest, if everything ends as expected."""
        if self._reserved is not None:
            return
        for begins in sorted({max(lease.ends, now) for lease in self._leases.values()}):
            then = self._free(lease for lease in self._leases.values() if max(lease.ends, now) > begins)
            nodes = _tightest(self._fitting(wish, then), then, wish.nodes)
            if nodes is not None:
                self._reserved = _Reservation(nodes=nodes, each=self._each(wish), begins=begins)
                return


def _tightest(names: Sequence[str], free: Mapping[str, Room], count: int) -> tuple[str, ...] | None:
    """Of the nodes that fit, those with the least left over; None if there are too few."""
    if len(names) < count:
        return None
    return tuple(sorted(names, key=lambda name: (free[name].gpus, free[name].cpus, name))[:count])
