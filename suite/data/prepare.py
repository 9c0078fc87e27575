"""Bring a data set below the data root: fetch or take what is given, check it, unpack it aside, put it in place.

<data root>/.unsmooth/downloads/<name>/    what arrives
<data root>/.unsmooth/unpacked/<name>/     what is unpacked and not checked yet
"""

import contextlib
import dataclasses
import fcntl
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from suite.data import advice, arrange, given, receipt, verify
from suite.data.checksum import Checksum, sha256
from suite.data.download import Meter, Patience, Unreachable, fetch
from suite.data.part import NotPublished, disagreement
from suite.data.receipt import FOLDER
from suite.data.sets import DataSet, Published, Single
from suite.data.verify import FileReport, Report
from suite.errors import DataSetError, UsageError


@dataclasses.dataclass(frozen=True, kw_only=True)
class Means:
    """How a data set is got hold of."""

    meter: Meter
    say: Callable[[str], None]  # a line for whoever watches
    have: Sequence[Path] = ()  # files and folders given with --from
    check: Checksum | None = None  # given with --sha256, for the one file without a published checksum
    patience: Patience = dataclasses.field(default_factory=Patience)


def prepare(dataset: DataSet, root: Path, means: Means) -> Report:
    """Make `dataset` complete below `root`, or say why not; returns the report on what is there.

    Raises:
        UsageError: what was given does not exist, or does not go together.
        DataSetError: it could not be fetched, unpacked or put in place. Nothing that was there is touched.
    """
    given.check(means.have)
    pinned = _pinned(dataset, means.check)
    try:
        with _alone(root, dataset):
            before = verify.verify(pinned, root)
            if not before.ok:
                _complete(pinned, root, means, before)
            after = verify.verify(dataset, root)
            _record(dataset, root, means, after)
    except OSError as error:
        what = error.filename or root / dataset.place
        raise DataSetError(f"{what} cannot be read or written: {error.strerror or error}.") from error
    if not after.ok:
        raise DataSetError([f"{dataset.name} is not complete after all:", *after.problems])
    means.say(f"{dataset.name} {'is there already' if before.ok else 'is ready'}: {root / dataset.place}")
    return after


def _complete(dataset: DataSet, root: Path, means: Means, before: Report) -> None:
    place = root / dataset.place
    if verify.obstacle(place) is not None:
        raise DataSetError(
            f"{before.problems[0]} Move it away, or see to its permissions, and run the same command again."
        )
    if not dataset.archives:
        _bring_files(dataset, root, means, before)
        return
    if place.exists() and any(place.iterdir()):
        raise DataSetError(
            f"{place} is there and not complete: {before.problems[0]} Move it away and run the same command again."
        )
    aside = root / FOLDER / "unpacked" / dataset.name
    shutil.rmtree(aside, ignore_errors=True)
    try:
        _fill(aside, dataset, root, means)
        _expect_good(dataset, aside, receipt.load(root, dataset.name))
        place.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            place.rmdir()  # only an empty one
        aside.replace(place)
    except OSError as error:
        raise DataSetError(f"{place} cannot be written: {error.strerror or error}. Give another --data.") from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    shutil.rmtree(_downloads(root, dataset), ignore_errors=True)


def _fill(aside: Path, dataset: DataSet, root: Path, means: Means) -> None:
    """Unpack the archives, or copy the folder that was given, into `aside`."""
    if (whole := given.folder(means.have, dataset)) is not None:
        means.say(f"Copying {whole}")
        _copy_folder(whole, aside)
        return
    if (files := given.unpacked(means.have, dataset)) is not None:
        for inside, path in files.items():
            means.say(f"Copying {path}")
            (aside / inside).parent.mkdir(parents=True, exist_ok=True)
            given.copy(path, aside / inside)
        return
    paths = {archive: _obtain(archive.file, dataset, root, means) for archive in dataset.archives}
    layouts = {archive.arrange: path for archive, path in paths.items() if archive.arrange}
    aside.mkdir(parents=True)
    for archive, path in paths.items():
        means.say(f"Unpacking {path}")
        arrange.place(archive, path, aside, layouts)


def _expect_good(dataset: DataSet, aside: Path, recorded: receipt.Receipt) -> None:
    report = verify.verify_at(dataset, aside, recorded, full=dataset.tree is not None)
    if not report.ok:
        raise DataSetError(
            [f"What was given or downloaded is not {dataset.name} as published; it is not used:", *report.problems]
        )


def _bring_files(dataset: DataSet, root: Path, means: Means, before: Report) -> None:
    """Fetch single files that are missing; one that is there and wrong is left for the user to move away."""
    wrong = [found for found in before.files if not found.good and found.status != "missing"]
    if wrong:
        raise DataSetError(
            f"{root / dataset.place / wrong[0].path} {_flaw(wrong[0], dataset)}"
            f"{_and_more([found.path for found in wrong])}. Move it away and run the same command again, or see"
            " `unsmooth data verify`."
        )
    for single in dataset.singles:
        targets = [root / dataset.place / path for path in single.places]
        missing = [target for target in targets if not target.is_file()]
        if missing:
            there = next((target for target in targets if target.is_file()), None)
            path = there or _obtain(single.file, dataset, root, means)
            _expect_recorded(path, single, receipt.load(root, dataset.name))
            for target in missing:
                _copy(path, target)
    shutil.rmtree(_downloads(root, dataset), ignore_errors=True)


def _flaw(found: FileReport, dataset: DataSet) -> str:
    if found.status == "unreadable":
        return "cannot be read"
    published = found.status == "wrong size" or dataset.expected[found.path].check is not None
    return f"is not the {'published file' if published else 'file recorded at its first download'}"


def _obtain(file: Published, dataset: DataSet, root: Path, means: Means) -> Path:
    """The published file on this machine, checked."""
    path = given.file(means.have, file, dataset)
    if path is not None:
        with given.reading(path):
            problem = disagreement(path, file)
        if problem:
            raise DataSetError(f"{path} is not {file.name} as published: {problem}. It is not used.")
        return path
    if dataset.by_hand is not None and means.have:
        raise UsageError(f"--from holds no {file.name}, and {dataset.name} is not downloaded. Give it with --from.")
    if dataset.by_hand is not None or file.url is None:
        raise DataSetError(advice.by_hand(dataset, root))
    target = _downloads(root, dataset) / file.name
    if target.is_file() and disagreement(target, file) is None:
        return target
    target.unlink(missing_ok=True)
    try:
        fetch(file, target, means.meter, means.patience)
    except Unreachable as error:
        raise advice.offline(error, dataset, root) from error
    except NotPublished as error:
        raise advice.elsewhere(error, dataset) from error
    return target


def _pinned(dataset: DataSet, check: Checksum | None) -> DataSet:
    """The data set with the user's checksum where none is published."""
    if check is None:
        return dataset
    open_ones = [single for single in dataset.singles if single.file.check is None]
    if len(open_ones) != 1 or dataset.archives:
        raise UsageError(
            f"--sha256 is for a data set with one file that has no published checksum; {dataset.name} has"
            f" {len(open_ones) if not dataset.archives else 'archives'}. Leave it out."
        )
    known = dataclasses.replace(open_ones[0], file=dataclasses.replace(open_ones[0].file, check=check))
    return dataclasses.replace(
        dataset, singles=tuple(known if single is open_ones[0] else single for single in dataset.singles)
    )


def _expect_recorded(path: Path, single: Single, recorded: receipt.Receipt) -> None:
    known = recorded.check(single.places[0])
    if single.file.check is None and known is not None and known.found(path) != known:
        raise DataSetError(
            f"{single.file.name} is not what was recorded at its first download: {sha256(path)}, recorded {known}."
            f" If the publisher has changed it and you trust the new one, delete {recorded.path}."
        )


def _record(dataset: DataSet, root: Path, means: Means, report: Report) -> None:
    before = receipt.load(root, dataset.name)
    after = verify.record(dataset, root, report)
    if after != before:
        after.save()
        new = sorted(set(after.files) - set(before.files))
        means.say(
            f"No checksum is published for {len(new)} files{_and_more(new, first=True)}. What is there now was recorded"
            f" in {after.path} and is expected from now on."
        )
        verify.settle(report)


def _copy_folder(source: Path, target: Path) -> None:
    """Contents alone: a folder that may not be written could not be moved into place."""
    for directory, names, files in os.walk(source, onerror=_refuse, followlinks=True):
        names[:] = [name for name in names if name != "processed" and not name.startswith(".")]
        into = target / Path(directory).relative_to(source)
        into.mkdir(parents=True, exist_ok=True)
        for name in files:
            given.copy(Path(directory, name), into / name)


def _refuse(error: OSError) -> None:
    raise given.refusal(error) from error


def _copy(source: Path, target: Path) -> None:
    aside = target.with_name(f".{target.name}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        given.copy(source, aside)
        aside.replace(target)
    except OSError as error:
        with contextlib.suppress(OSError):
            aside.unlink(missing_ok=True)
        raise DataSetError(f"{target} cannot be written: {error.strerror or error}.") from error


def _downloads(root: Path, dataset: DataSet) -> Path:
    return root / FOLDER / "downloads" / dataset.name


def _and_more(names: Sequence[str], *, first: bool = False) -> str:
    if first:
        return f" ({names[0]}{_and_more(names)})" if names else ""
    return f" ({len(names) - 1} more alike)" if len(names) > 1 else ""


@contextlib.contextmanager
def _alone(root: Path, dataset: DataSet) -> Iterator[None]:
    """One `prepare` of a data set at a time."""
    try:
        (root / FOLDER).mkdir(parents=True, exist_ok=True)
        file = (root / FOLDER / f"{dataset.name}.lock").open("a")
    except OSError as error:
        raise UsageError(
            f"--data {root}: it cannot be written ({error.strerror}). Choose a folder that can, or ask whoever keeps"
            " the data."
        ) from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise UsageError(f"{dataset.name} is being prepared in {root} by another process. Wait for it.") from error
        yield
