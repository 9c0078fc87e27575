"""Where pip finds packages on this machine, as a pip.conf that holds inside a build too.

Folders on this machine's disk cannot be seen from there, so they are served on loopback; builds use the host's network.
"""

import configparser
import functools
import http.server
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit

KEYS = ("index-url", "extra-index-url", "find-links", "trusted-host")


class Folders(http.server.SimpleHTTPRequestHandler):
    """Serves what lies in, or beside, the folders that pip is told of, and says nothing."""

    def __init__(self, *arguments: object, shown: tuple[Path, ...]) -> None:
        self.shown = shown
        super().__init__(*arguments, directory="/")  # type: ignore[arg-type]

    def translate_path(self, path: str) -> str:
        real = super().translate_path(path)
        return real if any(Path(real).is_relative_to(folder.parent) for folder in self.shown) else "/none"

    def log_message(self, *_: object) -> None:
        """Nothing."""


@contextmanager
def pip_conf(folder: Path) -> Iterator[Path]:
    """A pip.conf in `folder` that says what `pip config` says here."""
    found = {key: value for key, value in settings().items() if key in KEYS}
    shown = tuple(folder for value in found.values() for word in value.split() if (folder := _local(word)))
    handler = functools.partial(Folders, shown=shown)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        lines = [f"{key} = {_seen(value, server.server_port)}" for key, value in found.items()]
        path = folder / "pip.conf"
        path.write_text("\n".join(["[global]", *lines, ""]))
        yield path
        server.shutdown()


def settings() -> dict[str, str]:
    """`pip config list`, the environment last; certificates under `cert`."""
    listed = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=True
    ).stdout
    parser = configparser.RawConfigParser(delimiters=("=",))
    parser.read_string("[pip]\n" + "\n".join(sorted(listed.splitlines(), reverse=True)))
    return {key.rpartition(".")[2]: value.strip("'") for key, value in parser.items("pip")}


def _seen(value: str, port: int) -> str:
    """Paths and file: addresses as the build reaches them, everything else as it is."""
    words = [(_local(word), word) for word in value.split()]
    return " ".join(f"http://127.0.0.1:{port}{folder}/" if folder else word for folder, word in words)


def _local(word: str) -> Path | None:
    """The folder on this machine that a path or file: address names."""
    address = urlsplit(word)
    folder = Path(unquote(address.path))
    return folder if address.scheme in ("", "file") and folder.is_absolute() and folder.is_dir() else None
