"""`unsmooth data`: which data sets there are, how they come below --data, and whether they are complete."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from suite.commands import options, output
from suite.data import receipt, sets, verify
from suite.data.checksum import Checksum
from suite.data.sets import DataSet
from suite.data.verify import Report
from suite.errors import UsageError, unknown
from suite.planning import catalogue

_SHOWN = 20
"""Problems that are printed; --json has them all."""

app = typer.Typer(help="List, prepare and verify data sets.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(metavar="NAME", help="A data set; `unsmooth data list` names them all.")]
Root = Annotated[
    Path | None, typer.Option("--data", help="Folder that holds the data sets, or will hold them.", metavar="DIR")
]


@app.command("list")
def list_(*, data: Root = None, json: options.Json = False) -> None:
    """Show every data set with its licence, size, source and place; with --data also whether it is there."""
    if data is not None:
        _root(data)
    rows = _rows(data)
    if json:
        output.document(rows)
        return
    columns = ("name", "state", "task", "size", "below --data", "licence", "source")
    keys = ("name", "state", "task", "size", "place", "licence", "source")
    output.table(columns, [[str(row[key]).removeprefix("https://") for key in keys] for row in rows])


@app.command("prepare")
def prepare(
    name: Name,
    *,
    data: Root = None,
    have: Annotated[
        list[Path] | None,
        typer.Option("--from", help="An archive, a file out of it, or a folder, that you have already. Repeatable."),
    ] = None,
    sha256: Annotated[
        str | None, typer.Option("--sha256", help="Expect this of a file that has no published checksum.")
    ] = None,
) -> None:
    """Download a data set, or take what you have, check it and put it in place; goes on where it was interrupted."""
    from suite.commands import transfer  # these load requests, which other commands do not wait for
    from suite.data import prepare as preparing

    dataset, root = _find(name), _root(data, create=True)
    if dataset is None:
        output.say(f"{name} comes with a package that is installed anyway: there is nothing to prepare.")
        return
    with transfer.meter() as meter:
        means = preparing.Means(meter=meter, say=output.say, have=have or (), check=_checksum(sha256))
        report = preparing.prepare(dataset, root, means)
    _show_notes(report)


@app.command("verify")
def verify_(
    name: Name,
    *,
    data: Root = None,
    full: Annotated[bool, typer.Option("--full", help="Read every picture too, and count every word.")] = False,
    json: options.Json = False,
) -> None:
    """Hold a data set against what was published: exit code 0 if it is complete, 1 if something is wrong."""
    dataset, root = _find(name), _root(data)
    if dataset is None:
        if json:
            output.document({"ok": True, "name": name, "embedded": True})
        else:
            output.say(f"{name} comes with a package that is installed anyway: there is nothing to verify.")
        return
    report = verify.verify(dataset, root, full=full)
    if full:
        _record(dataset, root, report)
    output.document(report.to_dict()) if json else _show(report)
    if not report.ok:
        raise typer.Exit(1)


def _rows(root: Path | None) -> list[dict[str, object]]:
    tasks = {name: task for task in catalogue.load().tasks.values() for name in task.data}
    embedded = {name for name, task in tasks.items() if task.data[name].embedded}
    known = sets.load()
    rows: list[dict[str, object]] = [
        _row(known[name], tasks[name].name if name in tasks else "-", root) for name in known
    ]
    for name in sorted(set(tasks) - set(known)):
        state, size = ("embedded", "0") if name in embedded else ("yours", "-")
        summary = tasks[name].data[name].summary
        source = "a package" if name in embedded else "-"
        row = {"name": name, "state": state, "task": tasks[name].name, "size": size, "place": "-"}
        rows.append({**row, "licence": "-", "source": source, "summary": summary})
    return rows


def _row(dataset: DataSet, task: str, root: Path | None) -> dict[str, object]:
    size = f"{dataset.bytes / 1e6:,.1f} MB" if dataset.bytes is not None else dataset.about
    return {
        "name": dataset.name,
        "state": verify.standing(dataset, root) if root else "-",
        "task": task,
        "size": size or "unknown",
        "place": dataset.place,
        "licence": dataset.licence,
        "source": dataset.homepage,
        "summary": dataset.summary,
        "downloads": [
            {"name": file.name, "url": file.url, "bytes": file.bytes, "check": str(file.check) if file.check else None}
            for file in dataset.downloads
        ],
    }


def _find(name: str) -> DataSet | None:
    """The entry called `name`; None for one that is embedded, which only the catalogue knows.

    Raises:
        UsageError: there is no such data set, or it is whatever the user has.
    """
    if name in sets.load():
        return sets.find(name)
    known: Mapping[str, bool] = {
        key: data.embedded for task in catalogue.load().tasks.values() for key, data in task.data.items()
    }
    if name not in known:
        raise UsageError(unknown("data set", name, {*sets.load(), *known}))
    if not known[name]:
        raise UsageError(f"{name} is any folder of yours: there is nothing published to prepare or to verify it by.")
    return None


def _root(data: Path | None, *, create: bool = False) -> Path:
    """The data root.

    Raises:
        UsageError: it was not given, is no folder, or is not there.
    """
    if data is None:
        raise UsageError("--data is missing: give the folder that holds the data sets, or will hold them.")
    try:
        there, folder = data.exists(), data.is_dir()
    except OSError as error:
        raise UsageError(f"--data {data}: it cannot be read ({error.strerror}). Give a folder that can.") from error
    if there and not folder:
        raise UsageError(f"--data {data}: it is a file. Give a folder.")
    if not there and not create:
        raise UsageError(f"--data {data}: there is no such folder. `unsmooth data prepare` makes it.")
    return data


def _checksum(text: str | None) -> Checksum | None:
    try:
        return None if text is None else Checksum.of(text)
    except ValueError as error:
        raise UsageError(f"--sha256: {error}") from error


def _record(dataset: DataSet, root: Path, report: Report) -> None:
    """Keep what a full check saw for the first time."""
    after = verify.record(dataset, root, report)
    if after == receipt.load(root, dataset.name):
        return
    try:
        after.save()
        verify.settle(report)
    except OSError as error:
        report.notes.append(f"Nothing was recorded: {after.path} cannot be written ({error.strerror}).")


def _show(report: Report) -> None:
    rows = [
        (found.path, found.status, _bytes(found.bytes), found.check or found.expected_check or "-")
        for found in report.files
    ]
    if rows:
        output.table(("file", "status", "bytes", "checksum"), rows)
    for part, counts in report.counts.items():
        stated = ", ".join(f"{key.replace('_', ' ')} {count:,}" for key, count in counts.items())
        output.say(f"{part}: {stated}.")
    _show_notes(report)
    _show_problems(report.problems)
    output.say(f"{report.name} in {report.place}: {'complete' if report.ok else 'NOT complete'}.")


def _show_notes(report: Report) -> None:
    for note in report.notes:
        output.say(note)


def _show_problems(problems: Sequence[str]) -> None:
    for problem in problems[:_SHOWN]:
        output.say(f"Problem: {problem}")
    if len(problems) > _SHOWN:
        output.say(f"{len(problems) - _SHOWN} more problems; --json names them all.")


def _bytes(count: int | None) -> str:
    return "-" if count is None else f"{count:,}"
