"""Which results may be compared: those of the same data and of the same code.

A trial's data are vouched for by what the job read of them, else by the files that lay there. Its code is that of the
modules that can decide a number; two trials share what both have imported, which leaves their variants apart.
"""

from collections.abc import Iterable, Mapping, Sequence

from suite.leaderboard.rows import Row, Trial

_PLUMBING = frozenset(
    f"jobs/{name}.py"
    for name in ("__init__", "__main__", "contract", "describe", "doctor", "errors", "provenance", "registry")
)
"""Modules of jobs that decide no number."""

_ADVICE = "Run the plan again with --rerun stale, or with --force where none is stale."


def mixed(rows: Sequence[Row]) -> str | None:
    """What is said of a setting whose results come from several versions of the data or of the code."""
    trials = [trial for row in rows for trial in row.finished().values()]
    if _several_data(trials):
        what = f"the data set {rows[0].setting['data']}"
    elif differing := _several_code(trials):
        what = f"the code ({differing})"
    else:
        return None
    return (
        f"These results come from several versions of {what}. Only results of the same version are compared, and none"
        f" is ranked. {_ADVICE}"
    )


def comparable(baseline: Row | None, row: Row) -> dict[int, float]:
    """The baseline's values, on the seeds on which it had the data and the code that `row` had."""
    own, reference = row.finished(), baseline.finished() if baseline else {}
    return {
        seed: trial.value
        for seed, trial in reference.items()
        if trial.value is not None and seed in own and _alike(trial, own[seed])
    }


def _alike(one: Trial, other: Trial) -> bool:
    """Whether nothing says that two trials had different data or code."""
    if any(other.code[name] != digest for name, digest in _deciding(one).items() if name in other.code):
        return False
    if one.data is not None and other.data is not None:
        return one.data == other.data
    return one.files is None or other.files is None or one.files == other.files


def _deciding(trial: Trial) -> Mapping[str, str]:
    return {name: digest for name, digest in trial.code.items() if name not in _PLUMBING}


def _several_code(trials: Sequence[Trial]) -> str | None:
    """`jobs/hosts/gcn.py` and how many more there are in several versions; None where every file is in one."""
    found: dict[str, set[str]] = {}
    for trial in trials:
        for name, digest in _deciding(trial).items():
            found.setdefault(name, set()).add(digest)
    several = sorted(name for name, digests in found.items() if len(digests) > 1)
    if len(several) > 1:
        return f"{several[0]} and {len(several) - 1} more"
    return several[0] if several else None


def _several_data(trials: Sequence[Trial]) -> bool:
    """What jobs made of the data is compared within a seed, which may draw the split; where it is equal, other files
    meant the same. Files that nothing vouches for in this way are compared across all results.
    """
    read: dict[int, set[str]] = {}
    vouched: dict[str, set[str]] = {}
    for trial in trials:
        if trial.data is not None:
            read.setdefault(trial.seed, set()).add(trial.data)
            vouched.setdefault(trial.data, set()).update({trial.files} if trial.files else ())
    files = {trial.files for trial in trials} - {None}
    return any(len(digests) > 1 for digests in read.values()) or len(_joined(files, vouched.values())) > 1


def _joined(items: Iterable[str | None], links: Iterable[set[str]]) -> set[frozenset[str | None]]:
    """The items in groups: those that a link names together are in one."""
    groups = {frozenset({item}) for item in items}
    for link in links:
        touched = {group for group in groups if group & link}
        groups = (groups - touched) | ({frozenset().union(*touched)} if touched else set())
    return groups
