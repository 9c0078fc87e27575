"""A file that is arriving: what is there of it, which file that is, and whether it is the published one in the end.

<target>.part          what has arrived so far
<target>.part.json     which file of which address that is, by the server's own mark (ETag or date)
<target>.wrong         a whole file that is not the published one, set aside
"""

from pathlib import Path

from requests import Response

from jobs.contract import ContractError, read_json, write_json
from suite.data.sets import Published
from suite.errors import DataSetError


class NotPublished(DataSetError):
    """An address brings no file any more, or another one than was published."""


class Part:
    """The unfinished file beside the target."""

    def __init__(self, target: Path, file: Published) -> None:
        self.target, self.file = target, file
        self.path = target.with_name(target.name + ".part")
        self._note = target.with_name(target.name + ".part.json")

    @property
    def have(self) -> int:
        return self.path.stat().st_size if self.path.exists() else 0

    def headers(self) -> dict[str, str]:
        """Ask for the rest, on the condition that it is still the same file; without its mark only if we can tell."""
        wanted = {"Accept-Encoding": "identity", "User-Agent": "unsmooth"}
        note = self._noted()
        if not self.have or note.get("url") != self.file.url or not (note.get("mark") or self.file.check):
            self.drop()
            return wanted
        condition = {"If-Range": str(note["mark"])} if note.get("mark") else {}
        return wanted | {"Range": f"bytes={self.have}-"} | condition

    def begin(self, response: Response) -> None:
        """Start from the first byte and note which file it is."""
        self.drop()
        tag = response.headers.get("ETag", "")
        mark = tag if tag.startswith('"') else response.headers.get("Last-Modified")
        write_json(self._note, {"url": self.file.url, "mark": mark})

    def drop(self) -> None:
        self.path.unlink(missing_ok=True)
        self._note.unlink(missing_ok=True)

    def finish(self) -> None:
        """Give the file its name if it is the published one, another name if it is not."""
        self.path.touch()  # an empty file sends nothing
        problem = disagreement(self.path, self.file)
        if problem is None:
            self.path.replace(self.target)
            self._note.unlink(missing_ok=True)
            return
        wrong = self.target.with_name(self.target.name + ".wrong")
        self.path.replace(wrong)
        self._note.unlink(missing_ok=True)
        raise NotPublished(
            f"{self.file.url} is not the published file: {problem}. It was set aside as {wrong} and is not used. Run"
            " the same command to try again; if it stays so, the publisher has changed the file."
        )

    def _noted(self) -> dict[str, object]:
        try:
            return read_json(self._note)
        except (ContractError, OSError):
            return {}


def disagreement(path: Path, file: Published) -> str | None:
    """What tells the file at `path` from the published one; None where nothing that is known of that does."""
    size = path.stat().st_size
    if file.bytes is not None and size != file.bytes:
        return f"it has {size:,} bytes, the published one {file.bytes:,}"
    if file.check is not None and (found := file.check.found(path)) != file.check:
        return f"its checksum is {found}, the published one {file.check}"
    return None
