"""Archives and pictures made on the spot."""

import io
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

PICTURE = b"\xff\xd8\xff\xe0 a picture as far as its first bytes tell"


def tar(path: Path, members: Mapping[str, bytes], *, odd: tarfile.TarInfo | None = None, mode: str = "w") -> Path:
    """A tar archive of these files and, if need be, one odd member."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]  # the mode is one of its own
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
        if odd is not None:
            archive.addfile(odd)
    return path


def zipped(path: Path, members: Mapping[str, bytes]) -> Path:
    """A zip archive of these files."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def write(folder: Path, members: Mapping[str, bytes]) -> Path:
    """The same, unpacked."""
    for name, content in members.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def tree(folder: Path) -> list[str]:
    """Every file below a folder."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
