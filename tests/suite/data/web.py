"""A web server on this machine that does as the test says: cuts connections, ignores ranges, sends wrong bytes."""

import contextlib
import dataclasses
import hashlib
import socket
import threading
import time
from collections.abc import Iterator
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from suite.data.checksum import Checksum
from suite.data.download import Patience
from suite.data.sets import Published

HURRIED = Patience(tries=3, pause_s=0.01, connect_s=2.0, read_s=0.3)


@dataclasses.dataclass
class Page:
    """One file, and how it is served."""

    body: bytes
    tag: str | None = '"v1"'
    ranges: bool = True
    answers: list[int] = dataclasses.field(default_factory=list)  # statuses instead of the file, first come first
    cuts: list[int] = dataclasses.field(default_factory=list)  # bytes after which the connection ends, per request
    stalls: list[int] = dataclasses.field(default_factory=list)  # bytes after which nothing comes for a while
    announces: int | None = None  # a false length


class Web:
    """Pages by name; every request's headers are kept."""

    def __init__(self, server: ThreadingHTTPServer) -> None:
        self.address = f"http://127.0.0.1:{server.server_address[1]}"
        self.pages: dict[str, Page] = {}
        self.requests: list[tuple[str, Message]] = []
        self.sent = 0

    def publish(self, name: str, body: bytes, *, known: bool = True, **how: object) -> Published:
        """Serve `body` as /name; with its size and checksum published, or not."""
        self.pages[name] = Page(body, **how)  # type: ignore[arg-type]
        check = Checksum("sha256", hashlib.sha256(body).hexdigest())
        return Published(
            name=name.rpartition("/")[2],
            url=f"{self.address}/{name}",
            bytes=len(body) if known else None,
            check=check if known else None,
        )

    def ranges(self) -> list[str | None]:
        """What each request asked for."""
        return [headers["Range"] for _, headers in self.requests]


@contextlib.contextmanager
def serve() -> Iterator[Web]:
    """A server for the time of the block."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    web = Web(server)
    server.web = web  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield web
    finally:
        server.shutdown()
        server.server_close()


def closed_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        web: Web = self.server.web  # type: ignore[attr-defined]
        name = self.path.lstrip("/")
        web.requests.append((name, self.headers))
        page = web.pages.get(name)
        if page is None or page.answers:
            self.close_connection = True
            self.send_error(page.answers.pop(0) if page else 404)
            return
        start = self._start(page)
        if start is not None and start >= len(page.body):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(page.body)}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self._head(page, start)
        self._body(page, page.body[start or 0 :], web)

    def _start(self, page: Page) -> int | None:
        """First byte wanted, if the server grants it."""
        wanted, condition = self.headers["Range"], self.headers["If-Range"]
        if wanted is None or not page.ranges or condition not in (None, page.tag):
            return None
        return int(wanted.removeprefix("bytes=").rstrip("-"))

    def _head(self, page: Page, start: int | None) -> None:
        self.send_response(200 if start is None else 206)
        length = page.announces if page.announces is not None else len(page.body) - (start or 0)
        self.send_header("Content-Length", str(length))
        if page.tag:
            self.send_header("ETag", page.tag)
        if start is not None:
            self.send_header("Content-Range", f"bytes {start}-{len(page.body) - 1}/{len(page.body)}")
        self.end_headers()

    def _body(self, page: Page, body: bytes, web: Web) -> None:
        cut = page.cuts.pop(0) if page.cuts else None
        stall = page.stalls.pop(0) if page.stalls else None
        piece = body[: cut or stall]
        web.sent += len(piece)
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.wfile.write(piece)
            self.wfile.flush()
        if stall is not None:
            time.sleep(1.0)
        if cut is not None or stall is not None:
            self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:
        """Not on the test's output."""
