"""What to do by hand about a data set that cannot be, or is not, downloaded."""

from pathlib import Path

from suite.data.download import Unreachable
from suite.data.part import NotPublished
from suite.data.sets import DataSet
from suite.errors import DataSetError


def by_hand(dataset: DataSet, root: Path) -> list[str]:
    """What to do about a data set that is never downloaded, and what will be checked."""
    archives = [
        f"  {file.name}{f', {file.bytes:,} bytes' if file.bytes else ''}, {file.check or 'no published checksum'}"
        for file in dataset.downloads
    ]
    parts = [f"{part} {item.images:,} pictures in {item.classes:,} classes" for part, item in dataset.classes.items()]
    parts += [f"{part} {pair.count:,} pictures with label maps" for part, pair in dataset.pairs.items()]
    counted = f"{'; '.join(parts[:3])}{f' and {len(parts) - 3} more parts alike' if len(parts) > 3 else ''}"
    return [
        f"{dataset.name} is not downloaded by this command. {dataset.by_hand}",
        f"Licence: {dataset.licence}. Homepage: {dataset.homepage}",
        "Archives:",
        *archives,
        f"Then: unsmooth data prepare {dataset.name} --data {root} --from FILE_OR_FOLDER",
        f"`unsmooth data verify {dataset.name} --data {root}` will check: {counted}; no empty file, nothing that is no"
        " picture.",
    ]


def offline(error: Unreachable, dataset: DataSet, root: Path) -> DataSetError:
    """What to fetch by hand, and where to put it."""
    names = [file.name for file in dataset.downloads]
    few = f"{', '.join(names[:2])} and {len(names) - 2} more files" if len(names) > 3 else ", ".join(names)
    hosts = sorted({str(file.url).rpartition("/")[0] for file in dataset.downloads})
    return DataSetError(
        f"{error} What had arrived is kept. Run the same command again with network; or download {few} from"
        f" {' and '.join(hosts)} elsewhere (`unsmooth data list --json` has every address), put them into a folder here"
        f" and run `unsmooth data prepare {dataset.name} --data {root} --from FOLDER`, then `unsmooth data verify"
        f" {dataset.name} --data {root}`."
    )


def elsewhere(error: NotPublished, dataset: DataSet) -> DataSetError:
    """Where to look for a file that its address does not bring."""
    return DataSetError(f"{error} Look for the published file at {dataset.homepage} and give it with --from.")
