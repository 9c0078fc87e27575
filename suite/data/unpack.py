"""Unpack an archive member by member: nothing lands outside the folder, nothing but plain files, nothing twice."""

import contextlib
import gzip
import lzma
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import IO

from suite.errors import DataSetError

Rename = Callable[[str], str | None]
"""From a member's name to where it goes below the folder, or None to leave it out."""

_DAMAGE = (
    tarfile.TarError,
    zipfile.BadZipFile,
    gzip.BadGzipFile,
    lzma.LZMAError,
    zlib.error,
    EOFError,
    NotImplementedError,
)
_BEGINNINGS = (b"PK", b"\x1f\x8b", b"BZh", b"\xfd7zXZ")
"""Of archives: one that begins so and cannot be opened is damaged."""
_ENCRYPTED = 0x1
"""Bit of a zip member's flags."""
_CHUNK = 1 << 20


def unpack(archive: Path, into: Path, rename: Rename) -> int:
    """Write the members of `archive` that `rename` wants below `into`; returns how many.

    Raises:
        DataSetError: it is no tar or zip archive, is damaged, holds what it must not, or the disk is too small.
    """
    with explained(archive):
        if zipfile.is_zipfile(archive):
            return _unzip(archive, into, rename)
        with opened(archive) as tar:
            _expect_room(archive, into, archive.stat().st_size)
            return untar(tar, archive, into, rename)


def names(archive: Path) -> list[str]:
    """Every member of a zip archive.

    Raises:
        DataSetError: it is none, or is damaged.
    """
    with explained(archive), zipfile.ZipFile(archive) as file:
        return file.namelist()


def read(archive: Path, ending: str) -> bytes:
    """The content of the one member of a tar or zip archive whose name ends so.

    Raises:
        DataSetError: there is none, or the archive is damaged.
    """
    with explained(archive):
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as file:
                found = [name for name in file.namelist() if name.endswith(ending)]
                if found:
                    _expect_open(archive, file.getinfo(found[0]))
                    return file.read(found[0])
        else:
            with opened(archive) as tar:
                for member in tar:
                    if member.isfile() and member.name.endswith(ending):
                        content = _stream(tar, member).read()
                        read_on(tar)
                        return content
    raise DataSetError(f"{archive} holds no {ending}; it is not the archive that is needed.")


def opened(archive: Path) -> tarfile.TarFile:
    """The tar archive, whatever it is compressed with.

    Raises:
        DataSetError: it is none.
    """
    try:
        return tarfile.open(archive)
    except tarfile.ReadError as error:  # its message has a line for every compression that was tried
        with archive.open("rb") as file:
            if file.read(8).startswith(_BEGINNINGS):
                raise tarfile.ReadError("its beginning or its end is missing") from error
        raise DataSetError(f"{archive} is no tar or zip archive. Give the one that is needed.") from error


def read_on(tar: tarfile.TarFile) -> None:
    """To the end of the stream: the checksum of a compressed one lies behind the last member."""
    while tar.fileobj is not None and tar.fileobj.read(_CHUNK):
        pass


def untar(tar: tarfile.TarFile, archive: Path, into: Path, rename: Rename) -> int:
    """Like `unpack`, of an open tar archive; `archive` is named in messages."""
    count = 0
    for member in tar:
        if member.isdir():
            continue
        if not member.isfile():
            raise DataSetError(f"{archive} holds {member.name!r}, which is no plain file; it is not unpacked.")
        target = _target(archive, into, member.name, rename)
        if target is not None:
            _write(archive, _stream(tar, member), target)
            count += 1
    read_on(tar)
    return count


def _unzip(archive: Path, into: Path, rename: Rename) -> int:
    with zipfile.ZipFile(archive) as file:
        wanted = []
        for member in file.infolist():
            if member.is_dir():
                continue
            if stat.S_ISLNK(member.external_attr >> 16):
                raise DataSetError(f"{archive} holds {member.filename!r}, which is no plain file; it is not unpacked.")
            target = _target(archive, into, member.filename, rename)
            if target is not None:
                _expect_open(archive, member)
                wanted.append((member, target))
        _expect_room(archive, into, sum(member.file_size for member, _ in wanted))
        for member, target in wanted:
            with file.open(member) as content:
                _write(archive, content, target)
    return len(wanted)


def _expect_open(archive: Path, member: zipfile.ZipInfo) -> None:
    if member.flag_bits & _ENCRYPTED:
        raise DataSetError(
            f"{archive} is protected by a password; it is not unpacked. Unpack it yourself and give the folder with"
            " --from."
        )


def _target(archive: Path, into: Path, name: str, rename: Rename) -> Path | None:
    wanted = None if any(part.startswith((".", "__MACOSX")) and part != ".." for part in _parts(name)) else rename(name)
    for path in (name, wanted or ""):
        pure = PurePosixPath(path)
        if pure.is_absolute() or ".." in pure.parts or "\\" in path or "\0" in path:
            raise DataSetError(f"{archive} holds {name!r}, which would land outside its folder; it is not unpacked.")
    return into / wanted if wanted else None


def _parts(name: str) -> tuple[str, ...]:
    return PurePosixPath(name).parts


def _write(archive: Path, content: IO[bytes], target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        with target.open("xb") as file:
            shutil.copyfileobj(content, file, _CHUNK)
    except FileExistsError as error:
        raise DataSetError(f"{archive} holds {target.name} twice in one folder; it is not unpacked.") from error


def _stream(tar: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    stream = tar.extractfile(member)
    if stream is None:  # only for members that are no files
        raise DataSetError(f"{tar.name!r} holds {member.name!r}, which cannot be read.")
    return stream


def _expect_room(archive: Path, into: Path, needed: int) -> None:
    into.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(into).free
    if free < needed:
        raise DataSetError(
            f"{archive.name} needs {needed / 1e9:.1f} GB unpacked, {free / 1e9:.1f} GB are free in {into}. Free some"
            " and run the same command again."
        )


@contextlib.contextmanager
def explained(archive: Path) -> Iterator[None]:
    """Whatever is wrong with an archive as a sentence."""
    try:
        yield
    except _DAMAGE as error:
        raise DataSetError(f"{archive} cannot be unpacked ({error}). It is damaged: download it again.") from error
    except OSError as error:
        raise DataSetError(
            f"{archive} cannot be unpacked: {error.strerror or error} ({error.filename or archive})."
        ) from error
