"""Downloads from a real server that behaves badly."""

import dataclasses
from pathlib import Path

import pytest

from suite.data.download import Unreachable, fetch
from suite.data.sets import Published
from suite.errors import DataSetError
from tests.suite.data.web import HURRIED, Web, closed_port

BODY = bytes(range(256)) * 4096  # 1 MiB


class Count:
    """A meter that adds up."""

    def __init__(self) -> None:
        self.started: list[tuple[str, int, int | None]] = []
        self.bytes = 0

    def start(self, name: str, have: int, total: int | None) -> None:
        self.started.append((name, have, total))

    def advance(self, count: int) -> None:
        self.bytes += count


def get(file: Published, target: Path, tries: int = 3) -> Count:
    meter = Count()
    fetch(file, target, meter, dataclasses.replace(HURRIED, tries=tries))
    return meter


def left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_gets_its_name_only_when_it_is_whole_and_the_published_one(web: Web, tmp_path: Path) -> None:
    meter = get(web.publish("a.zip", BODY), tmp_path / "new" / "a.zip")
    assert (tmp_path / "new" / "a.zip").read_bytes() == BODY
    assert left(tmp_path / "new") == ["a.zip"]
    assert (meter.started, meter.bytes) == ([("a.zip", 0, len(BODY))], len(BODY))
    assert web.requests[0][1]["User-Agent"] == "unsmooth"  # some servers refuse Python's own


def test_a_connection_that_ends_early_is_taken_up_where_it_ended(web: Web, tmp_path: Path) -> None:
    get(web.publish("a.zip", BODY, cuts=[700_000, 100_000]), tmp_path / "a.zip")
    assert (tmp_path / "a.zip").read_bytes() == BODY
    assert web.ranges() == [None, "bytes=700000-", "bytes=800000-"]
    assert web.sent == len(BODY)


def test_a_later_command_goes_on_where_an_earlier_one_gave_up(web: Web, tmp_path: Path) -> None:
    file = web.publish("a.zip", BODY, cuts=[400_000], answers=[])
    web.pages["a.zip"].cuts = [400_000, 1, 1]
    with pytest.raises(DataSetError, match=r"The first 400,\d+ bytes are kept; run the same command again") as raised:
        get(dataclasses.replace(file, url=file.url), tmp_path / "a.zip", tries=0)
    assert raised.value.exit_code == 2
    get(file, tmp_path / "a.zip")
    assert (tmp_path / "a.zip").read_bytes() == BODY
    assert web.sent == len(BODY)


def test_a_server_without_ranges_sends_everything_anew(web: Web, tmp_path: Path) -> None:
    get(web.publish("a.zip", BODY, ranges=False, cuts=[700_000]), tmp_path / "a.zip")
    assert (tmp_path / "a.zip").read_bytes() == BODY
    assert web.ranges() == [None, "bytes=700000-"]


def test_pieces_of_two_versions_are_never_put_together(web: Web, tmp_path: Path) -> None:
    old = web.publish("a.zip", b"o" * len(BODY), known=False, cuts=[500_000])
    with pytest.raises(DataSetError, match="are kept"):
        get(old, tmp_path / "a.zip", tries=0)
    get(web.publish("a.zip", BODY, known=False, tag='"v2"'), tmp_path / "a.zip")
    assert (tmp_path / "a.zip").read_bytes() == BODY
    assert web.requests[-1][1]["If-Range"] == '"v1"'


def test_without_mark_and_checksum_nobody_could_tell_so_it_begins_anew(web: Web, tmp_path: Path) -> None:
    get(web.publish("a.zip", BODY, known=False, tag=None, cuts=[500_000]), tmp_path / "a.zip")
    assert (tmp_path / "a.zip").read_bytes() == BODY
    assert web.ranges() == [None, None]


def test_wrong_bytes_are_set_aside_and_never_used(web: Web, tmp_path: Path) -> None:
    file = web.publish("a.zip", BODY)
    web.pages["a.zip"].body = b"x" * len(BODY)
    with pytest.raises(DataSetError, match=r"is not the published file: its checksum is sha256:.*set aside as"):
        get(file, tmp_path / "a.zip")
    assert left(tmp_path) == ["a.zip.wrong"]
    web.pages["a.zip"].body = BODY
    get(file, tmp_path / "a.zip")
    assert (tmp_path / "a.zip").read_bytes() == BODY


def test_a_file_of_another_size_is_not_even_downloaded(web: Web, tmp_path: Path) -> None:
    file = web.publish("a.zip", BODY)
    web.pages["a.zip"].body = BODY + b"more"
    with pytest.raises(DataSetError, match="it has 1,048,580 bytes, the published one 1,048,576"):
        get(file, tmp_path / "a.zip")
    assert not list(tmp_path.glob("a.zip"))


def test_a_disk_without_room_is_told_before_anything_arrives(web: Web, tmp_path: Path) -> None:
    with pytest.raises(DataSetError, match=r"a.zip needs 1000000000\.\d+ GB of disk in .* GB are free. Free some"):
        get(web.publish("a.zip", BODY, known=False, announces=10**18), tmp_path / "a.zip")


def test_a_busy_server_is_asked_again_and_a_missing_file_is_not(web: Web, tmp_path: Path) -> None:
    get(web.publish("a.zip", BODY, answers=[503, 429]), tmp_path / "a.zip")
    assert len(web.requests) == 3
    gone = Published(name="b.zip", url=f"{web.address}/b.zip")
    with pytest.raises(DataSetError, match=r"b.zip cannot be downloaded: the server answers 404 Not Found"):
        get(gone, tmp_path / "b.zip")
    assert len(web.requests) == 4


def test_a_server_that_falls_silent_is_left_and_asked_for_the_rest(web: Web, tmp_path: Path) -> None:
    get(web.publish("a.zip", BODY, stalls=[300_000]), tmp_path / "a.zip")
    assert (tmp_path / "a.zip").read_bytes() == BODY
    assert web.ranges() == [None, "bytes=300000-"]


def test_a_part_that_is_whole_already_is_taken_as_it_is(web: Web, tmp_path: Path) -> None:
    file = web.publish("a.zip", BODY, cuts=[len(BODY)], announces=len(BODY) + 1)
    whole = dataclasses.replace(file, bytes=None)
    with pytest.raises(DataSetError, match="are kept"):
        get(whole, tmp_path / "a.zip", tries=0)
    get(whole, tmp_path / "a.zip")
    assert (tmp_path / "a.zip").read_bytes() == BODY
    assert web.sent == len(BODY)


def test_nobody_at_the_other_end_is_told_with_the_host(tmp_path: Path) -> None:
    file = Published(name="a.zip", url=f"http://127.0.0.1:{closed_port()}/a.zip")
    with pytest.raises(Unreachable, match=r"The host 127.0.0.1 could not be reached \(it refuses connections\)."):
        get(file, tmp_path / "a.zip")


def test_an_empty_file_is_a_file(web: Web, tmp_path: Path) -> None:
    get(web.publish("none.txt", b""), tmp_path / "none.txt")
    assert (tmp_path / "none.txt").read_bytes() == b""


def test_a_folder_that_cannot_be_written_is_told(web: Web, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataSetError, match="cannot be written"):
        get(web.publish("a.zip", BODY), tmp_path / "file" / "a.zip")
