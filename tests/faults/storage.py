"""Storage that is full, slow or refuses: small file systems of our own to hold a runs folder, and what befalls them."""

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tests.faults.fault import Fault
from tests.faults.scene import Scene

_CHUNK = bytes(64 * 1024)


class DiskFull(Fault):
    """Somebody else's file takes all the room, and is removed after a while."""

    name = "full disk"
    lasts_s = 1.0
    alone = True

    def strike(self, scene: Scene) -> str | None:
        if not scene.jobs():
            return None
        self._filler = fill(scene.runs.parent)
        return f"{self._filler.stat().st_size / 2**20:.1f} MiB taken for {self.lasts_s:g} s"

    def mend(self, scene: Scene) -> None:
        self._filler.unlink()


class FolderFrozen(Fault):
    """A shared folder that does not answer: whoever writes waits."""

    name = "shared folder frozen"
    lasts_s = 1.5
    alone = True

    def strike(self, scene: Scene) -> str | None:
        if not scene.jobs():
            return None
        subprocess.run(["fsfreeze", "--freeze", scene.runs.parent], check=True)
        return f"for {self.lasts_s:g} s"

    def mend(self, scene: Scene) -> None:
        subprocess.run(["fsfreeze", "--unfreeze", scene.runs.parent], check=True)


class FolderRefuses(Fault):
    """A shared folder that takes no new files: every folder of a job that runs is made immutable."""

    name = "shared folder refuses to be written"
    lasts_s = 1.0
    alone = True

    def __init__(self) -> None:
        self._folders: list[Path] = []

    def strike(self, scene: Scene) -> str | None:
        self._folders = [path for job in scene.jobs() for path in (job.folder.root, job.folder.root / "attempts")]
        if not self._folders:
            return None
        self._chattr("+i")
        return f"{len(self._folders) // 2} jobs, for {self.lasts_s:g} s"

    def mend(self, scene: Scene) -> None:
        self._chattr("-i")

    def _chattr(self, change: str) -> None:
        subprocess.run(["chattr", change, *map(str, self._folders)], check=True)


def fill(disk: Path) -> Path:
    """Leave no room on it; the file that takes it all."""
    filler = disk / "filler"
    with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
        while True:
            file.write(_CHUNK)
    return filler


@contextlib.contextmanager
def memory_disk(at: Path, *, size_mib: int) -> Iterator[Path]:
    """A file system in memory."""
    at.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size_mib}m", "none", at], check=True)
    with _mounted(at):
        yield at


@contextlib.contextmanager
def file_disk(at: Path, *, size_mib: int) -> Iterator[Path]:
    """An ext4 file system in a file beside it."""
    image = at.with_suffix(".img")
    with image.open("wb") as file:
        file.truncate(size_mib * 2**20)
    at.mkdir()
    subprocess.run(["mkfs.ext4", "-q", image], check=True)
    subprocess.run(["mount", "-o", "loop", image, at], check=True)
    with _mounted(at):
        yield at


@contextlib.contextmanager
def _mounted(at: Path) -> Iterator[None]:
    try:
        yield
    finally:
        subprocess.run(["umount", at], check=True)
