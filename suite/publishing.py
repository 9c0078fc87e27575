"""A runs folder -> results/NAME: what others need to believe a board, and to run any of its rows again.

The published folder is a small runs folder: the plan's manifest, of each job the spec, the result and where it comes
from, the board, and SHA256SUMS over all of it. Paths of the machine are replaced by RUNS, DATA and ~; checkpoints,
events, logs and the curves of validations stay behind.
"""

import json
import math
import re
import shutil
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

from jobs.contract import ContractError, JobFolder, JobSpec, Result, file_sha256, read_json, write_json
from suite import provenance
from suite.errors import UsageError
from suite.leaderboard import board, files, page, tables
from suite.planning import manifest
from suite.planning.manifest import Manifest, PlannedJob

SUMS, VERIFIED = "SHA256SUMS", "verified.json"
_LIBRARY = re.compile(r'<script id="plotly"[^>]*>.*?</script>', re.DOTALL)
"""The plotting library in a page: another release of it draws the same board."""

_DRAWN_BY = re.compile(r'<meta name="generator" content="([^"]*)">')


def publish(runs: Path, listed: Manifest, folder: Path) -> list[Path]:
    """Write `folder` anew from the plan's jobs in `runs`; returns the files, the page first.

    Raises:
        UsageError: nothing of the plan has finished, a result is damaged, or `folder` holds something else.
    """
    if not any(JobFolder(runs / job.id).result.is_file() for job in listed.jobs):
        raise UsageError(f"No job of the plan {listed.name} has a result in {runs}. Run it first.")
    if folder.exists() and any(folder.iterdir()) and not (folder / SUMS).is_file():
        raise UsageError(f"{folder} holds other things. Give another --out, or a name that is not taken.")
    aside = folder.with_name(f".{folder.name}.new")
    shutil.rmtree(aside, ignore_errors=True)
    hidden = _hidden(runs, listed)
    document = _replaced(read_json(manifest.folder(runs) / f"{listed.name}.json"), hidden)
    write_json(manifest.folder(aside) / f"{listed.name}.json", document)
    for job in listed.jobs:
        _copy(JobFolder(runs / job.id), JobFolder(aside / job.id), hidden)
    if (runs / VERIFIED).is_file():  # a published folder, whose board is drawn anew
        shutil.copy(runs / VERIFIED, aside / VERIFIED)
    written = files.write(board.build(aside, _manifest(aside)), aside)
    (aside / SUMS).write_text(_sums(aside), encoding="utf-8")
    shutil.rmtree(folder, ignore_errors=True)
    aside.replace(folder)
    return [folder / path.name for path in written]


def _copy(source: JobFolder, target: JobFolder, hidden: dict[str, str]) -> None:
    """Spec, result, and of the attempt that counts where it comes from; a job without a result leaves nothing."""
    if not source.result.is_file():
        return
    result = _result(source)
    attempt, copied = source.attempt(result.attempt), target.attempt(result.attempt)
    write_json(target.spec, read_json(source.spec))
    write_json(target.result, _replaced(_without_curve(read_json(source.result)), hidden))
    pairs = [(attempt.provenance, copied.provenance), (provenance.data_path(attempt), provenance.data_path(copied))]
    for path, goal in pairs:
        if path.is_file():
            write_json(goal, _replaced(read_json(path), hidden))


def _without_curve(document: dict[str, Any]) -> dict[str, Any]:
    """A result without its validations on the way, which are most of it."""
    numbers = {key: value for key, value in document.get("numbers", {}).items() if key != "curve"}
    return {**document, "numbers": numbers}


def _result(folder: JobFolder) -> Result:
    try:
        return Result.load(folder.result)
    except ContractError as error:
        raise UsageError(f"{error} Run the job again with --force.") from error


def _hidden(runs: Path, listed: Manifest) -> dict[str, str]:
    """What of this machine is not to be published -> what stands for it; the longest first."""
    places = {str(runs.absolute()): "RUNS", str(Path.home()): "~"}
    command = list(listed.command)
    places |= {str(Path(after).absolute()): "DATA" for one, after in pairwise(command) if one == "--data"}
    places.pop("/", None)  # the home of a user who has none
    return dict(sorted(places.items(), key=lambda place: -len(place[0])))


def _replaced(document: Any, hidden: dict[str, str]) -> Any:
    """The same without this machine in it; a spec stays as it is, for the job's id is drawn from it."""
    if isinstance(document, dict):
        kept = {key: value for key, value in document.items() if key != "host"}
        return {key: value if key == "spec" else _replaced(value, hidden) for key, value in kept.items()}
    if isinstance(document, list):
        return [_replaced(value, hidden) for value in document]
    if isinstance(document, str):
        for path, word in hidden.items():
            document = document.replace(path, word)
    return document


def _manifest(folder: Path) -> Manifest:
    found = manifest.load_all(folder)
    if len(found) != 1:
        raise ContractError(f"{manifest.folder(folder)}: must hold one plan, holds {len(found)}.")
    return found[0]


def _sums(folder: Path) -> str:
    """A line `digest  path` for every file but the list itself, as sha256sum writes and reads it."""
    paths = sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file() and path.name != SUMS)
    return "".join(f"{file_sha256(folder / path)}  {path.as_posix()}\n" for path in paths)


def problems(folder: Path) -> Iterator[str]:
    """What is wrong with a published folder, one sentence each; nothing if every claim holds.

    Raises:
        UsageError: the folder is none that was published.
    """
    if not (folder / SUMS).is_file():
        raise UsageError(
            f"{folder} was not published: it holds no {SUMS}. Give a folder that `unsmooth publish` wrote."
        )
    yield from _changed(folder)
    try:
        listed = _manifest(folder)
    except ContractError as error:
        yield str(error)
        return
    found = [problem for job in listed.jobs for problem in _of_job(JobFolder(folder / job.id), job)]
    yield from found
    if not found:
        yield from _of_board(folder, listed)
        yield from differing(folder, again(folder))


def uncompared(folder: Path) -> str | None:
    """What validation says of a page that was drawn by another version, whose text it cannot know; else None."""
    found = _DRAWN_BY.search(_read(folder, "html"))
    if found and found[1] == page.generator():
        return None
    return (
        f"{files.STEM}.html was drawn by another version and is not compared; the results, Markdown, CSV and JSON are."
        " Publish the folder anew to have it compared."
    )


def again(folder: Path) -> dict[str, float]:
    """Of the jobs that somebody ran again to verify the folder, the primary metric; none if it is self-reported.

    Raises:
        UsageError: the file that says so is damaged.
    """
    path = folder / VERIFIED
    if not path.is_file():
        return {}
    try:
        return {name: float(value) for name, value in read_json(path)["jobs"].items()}
    except (ContractError, KeyError, AttributeError, TypeError, ValueError) as error:
        raise UsageError(f"{path} is damaged ({error}). Verify the folder again, or delete it.") from error


def rerun(folder: Path, runs: Path) -> dict[str, float]:
    """The primary metric of the folder's jobs that finished once more in `runs`.

    Raises:
        UsageError: there is none.
    """
    found = {}
    for job in _manifest(folder).jobs:
        here, there = JobFolder(runs / job.id), JobFolder(folder / job.id)
        if not here.result.is_file() or not there.result.is_file():
            continue
        result = _result(here)
        if result.status == "ok" and result.cost != _result(there).cost:  # the same seconds are the same run
            found[job.id] = _primary(result)
    if not found:
        raise UsageError(f"No job of {folder} was run again in {runs}. Run some: its page gives the commands.")
    return found


def differing(folder: Path, found: Mapping[str, float]) -> Iterator[str]:
    """Which values of jobs run again are further from the published ones than half their row's 95% interval."""
    if not found:
        return
    for entry in board.build(folder, _manifest(folder)).entries():
        allowed = (entry.estimate.half_width or 0.0) if entry.estimate else 0.0
        for trial in entry.row.trials:
            here = found.get(trial.id)
            if here is None or trial.value is None:
                continue
            if not math.isclose(here, trial.value, rel_tol=1e-6, abs_tol=allowed):
                yield (
                    f"{trial.id}: run again it has {entry.row.metric.name} {here:g}, published is {trial.value:g},"
                    f" and its row's interval is +-{allowed:.2g} ({entry.row.name} in {entry.row.label})."
                )


def identical(folder: Path, found: Mapping[str, float]) -> int:
    """How many of the jobs run again have the published number to the last digit; another machine may differ."""
    published = {name: _result(JobFolder(folder / name)) for name in found}
    return sum(result.status == "ok" and _primary(result) == found[name] for name, result in published.items())


def _primary(result: Result) -> float:
    return float(result.numbers["metrics"][result.numbers["primary"]]["value"])


def verify(folder: Path, found: Mapping[str, float]) -> None:
    """Note in the folder which of its jobs were run again, and by which code; the digests include it."""
    write_json(folder / VERIFIED, {"jobs": dict(found), "git": provenance.git_version()})
    (folder / SUMS).write_text(_sums(folder), encoding="utf-8")


def _changed(folder: Path) -> Iterator[str]:
    stated = (folder / SUMS).read_text(encoding="utf-8").splitlines()
    now = _sums(folder).splitlines()
    names = {line.partition("  ")[2] for line in stated}
    for line in sorted({*stated} - {*now}):
        name = line.partition("  ")[2]
        yield f"{name}: {'has changed since it was published' if (folder / name).is_file() else 'is missing'}."
    yield from (
        f"{name}: was not published." for name in sorted(line.partition("  ")[2] for line in now) if name not in names
    )


def _of_job(folder: JobFolder, job: PlannedJob) -> Iterator[str]:
    """Spec and result are well-formed, and of this job; no result at all is a pending row, and no problem."""
    if job.spec.id != job.id:
        yield f"{job.id}: the manifest's spec has the id {job.spec.id}."
    if not folder.root.exists():
        return
    try:
        spec, result = JobSpec.load(folder.spec), Result.load(folder.result)
    except ContractError as error:
        yield str(error)
        return
    if spec != job.spec:
        yield f"{job.id}: its spec is not the manifest's."
    if result.id != job.id:
        yield f"{job.id}: its result is that of {result.id}."
    if result.status == "ok" and not result.numbers.get("metrics"):
        yield f"{job.id}: its result says ok and holds no metric."


def _of_board(folder: Path, listed: Manifest) -> Iterator[str]:
    """The board is drawn again from the results and held against the one that lies there."""
    try:
        drawn = board.build(folder, listed)
    except (ContractError, ValueError) as error:
        yield str(error)
        return
    holds = {
        "md": _read(folder, "md") == tables.markdown(drawn),
        "csv": _read(folder, "csv") == tables.comma_separated(drawn),
        "json": _alike(json.loads(_read(folder, "json") or "null"), json.loads(tables.document(drawn))),
        "html": uncompared(folder) or _LIBRARY.sub("", _read(folder, "html")) == _LIBRARY.sub("", page.render(drawn)),
    }
    yield from (
        f"{files.STEM}.{suffix}: says something else than the results do." for suffix in holds if not holds[suffix]
    )


def _read(folder: Path, suffix: str) -> str:
    path = folder / f"{files.STEM}.{suffix}"
    return path.read_text(encoding="utf-8") if path.is_file() else ""


def _alike(one: Any, other: Any) -> bool:
    """Equal, numbers within rounding."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_alike(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_alike, one, other))
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=1e-9)
    return bool(one == other)
