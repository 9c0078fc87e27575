"""Fetch one published file over HTTP: resumed after any interruption, checked before it gets its name."""

import dataclasses
import errno
import os
import shutil
import time
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

import requests
from requests import Response, Session
from urllib3.exceptions import HTTPError as TransportError

from suite.data.part import NotPublished, Part
from suite.data.sets import Published
from suite.errors import DataSetError

_CHUNK = 1 << 20
_SPARE_BYTES = 64 * 2**20
"""Disk that is left free."""
_BUSY = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Answers that may be another one a little later."""


class Meter(Protocol):
    """Whoever shows how a download goes on."""

    def start(self, name: str, have: int, total: int | None) -> None:
        """Bytes of `name` begin to arrive; `have` of `total` are there."""

    def advance(self, count: int) -> None:
        """So many more bytes are there."""


@dataclasses.dataclass(frozen=True)
class Patience:
    """How long to wait for a server; a pause doubles with every try that brings nothing."""

    tries: int = 5  # in a row that bring nothing
    pause_s: float = 1.0
    longest_s: float = 60.0
    connect_s: float = 10.0
    read_s: float = 60.0


class Unreachable(DataSetError):
    """Nothing at the other end answers; `host` says where."""

    def __init__(self, host: str, reason: str) -> None:
        super().__init__(f"The host {host} could not be reached ({reason}).")
        self.host = host


class _Interrupted(Exception):
    """The connection ended early, or the server is busy: worth another try."""


class _Nobody(_Interrupted):
    """There was no connection at all."""


def fetch(file: Published, target: Path, meter: Meter, patience: Patience | None = None) -> None:
    """Download `file` to `target`, which does not exist yet, from where an earlier call was interrupted.

    Raises:
        Unreachable: no server answered.
        NotPublished: the server has no such file, or another one.
        DataSetError: the disk is full; what arrived is kept.
    """
    patience = patience or Patience()
    part = Part(target, file)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with Session() as session:
            _persevere(session, file, part, meter, patience)
    except OSError as error:
        raise _disk_problem(error, target) from error
    part.finish()


def _persevere(session: Session, file: Published, part: "Part", meter: Meter, patience: Patience) -> None:
    fruitless = 0
    while True:
        before = part.have
        try:
            _receive(session, file, part, meter, patience)
            return
        except _Interrupted as error:
            fruitless = 0 if part.have > before else fruitless + 1
            allowed = min(2, patience.tries) if isinstance(error, _Nobody) else patience.tries
            if fruitless >= allowed:
                raise _given_up(file, part, error) from error
        time.sleep(min(patience.pause_s * 2**fruitless, patience.longest_s))


def _receive(session: Session, file: Published, part: "Part", meter: Meter, patience: Patience) -> None:
    """One request: everything that is missing, or as much as comes."""
    try:
        response = session.get(
            file.url or "", headers=part.headers(), stream=True, timeout=(patience.connect_s, patience.read_s)
        )
    except (requests.ConnectionError, requests.Timeout) as error:
        raise _Nobody(_why(error)) from error
    except requests.RequestException as error:
        raise DataSetError(f"{file.url} cannot be downloaded: {error}") from error
    with response:
        if _complete(response, part):
            return
        _refuse(response, file)
        total = _total(response, part)
        _expect_size(total, file, part)
        meter.start(file.name, part.have, total)
        _store(response, part, meter)
    if total is not None and part.have < total:
        raise _Interrupted("the connection ended early")


def _complete(response: Response, part: "Part") -> bool:
    """Whether the server says that nothing is missing; what cannot be continued is begun anew."""
    if response.status_code != 416:
        return False
    if response.headers.get("Content-Range") == f"bytes */{part.have}":
        return True
    part.drop()
    raise _Interrupted("the file has become another one")


def _refuse(response: Response, file: Published) -> None:
    """Raise what the status means, unless it means that the file follows."""
    status = response.status_code
    if status in _BUSY:
        raise _Interrupted(f"the server answers {status} {response.reason}")
    if status not in (200, 206):
        raise NotPublished(
            f"{file.url} cannot be downloaded: the server answers {status} {response.reason}. The address may have"
            " changed."
        )


def _total(response: Response, part: "Part") -> int | None:
    """Bytes of the whole file; afterwards `part` is ready for what this response brings."""
    length = response.headers.get("Content-Length")
    if response.status_code == 206:
        span = response.headers.get("Content-Range", "")
        if not span.startswith(f"bytes {part.have}-"):
            part.drop()
            raise _Interrupted("the server sent another piece than the one asked for")
    else:
        part.begin(response)
    return part.have + int(length) if length and length.isdigit() else None


def _expect_size(total: int | None, file: Published, part: "Part") -> None:
    if total is not None and file.bytes is not None and total != file.bytes:
        raise NotPublished(
            f"{file.url} is not the published file: it has {total:,} bytes, the published one {file.bytes:,}."
            " It was not downloaded."
        )
    needed = (total or 0) - part.have + _SPARE_BYTES
    free = shutil.disk_usage(part.path.parent).free
    if free < needed:
        raise DataSetError(
            f"{file.name} needs {needed / 1e9:.2f} GB of disk in {part.path.parent}, {free / 1e9:.2f} GB are free."
            " Free some and run the same command again; what has arrived is kept."
        )


def _store(response: Response, part: "Part", meter: Meter) -> None:
    with part.path.open("ab") as stream:
        try:
            while chunk := response.raw.read1(_CHUNK):  # whatever has come: nothing is lost when no more does
                stream.write(chunk)
                meter.advance(len(chunk))
        except TransportError as error:
            raise _Interrupted(_why(error)) from error
        finally:
            stream.flush()
            os.fsync(stream.fileno())


def _given_up(file: Published, part: Part, error: _Interrupted) -> DataSetError:
    if isinstance(error, _Nobody) and not part.have:
        return Unreachable(urlsplit(file.url or "").hostname or "?", str(error))
    return DataSetError(
        f"{file.url} could not be downloaded: {error}. The first {part.have:,} bytes are kept; run the same command"
        " again to go on from there."
    )


def _disk_problem(error: OSError, target: Path) -> DataSetError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DataSetError(f"The disk is full: {target.parent}. Free some and run again; what has arrived is kept.")
    return DataSetError(f"{target.parent} cannot be written: {error.strerror or error}. Give another folder to --data.")


def _why(error: Exception) -> str:
    """The innermost reason, without the names of classes and objects."""
    text = str(error)
    for known, said in (
        ("NameResolution", "its name is not known here"),
        ("Name or service not known", "its name is not known here"),
        ("refused", "it refuses connections"),
        ("timed out", "it does not answer in time"),
        ("unreachable", "there is no way to it"),
        ("proxy", "the proxy refuses"),
    ):
        if known in text:
            return said
    return "the connection ended early"
