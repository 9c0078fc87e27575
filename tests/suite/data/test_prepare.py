"""From nothing to a data set in its place, whatever happens on the way."""

import dataclasses
import fcntl
import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from suite.data import verify
from suite.data.checksum import Checksum
from suite.data.prepare import Means, prepare
from suite.data.sets import Archive, Classes, DataSet, Published, Single
from suite.errors import DataSetError, UsageError
from tests.suite.data.packing import PICTURE, tree, write, zipped
from tests.suite.data.web import HURRIED, Web, closed_port


class Silent:
    """A meter that shows nothing."""

    def start(self, name: str, have: int, total: int | None) -> None:
        """Nothing."""

    def advance(self, count: int) -> None:
        """Nothing."""


def dataset(**parts: object) -> DataSet:
    required = {"summary": "s", "licence": "Free", "homepage": "http://home"}
    return DataSet(name="t", place="graphs/t", **required, **parts)  # type: ignore[arg-type]


def files(web: Web, *, known: bool = True) -> DataSet:
    """Two files, one of which lies in two places."""
    edges, nodes = (web.publish(name, name.encode() * 9, known=known) for name in ("edges", "nodes"))
    return dataset(
        singles=(Single(file=edges, places=("raw/edges", "geom/edges")), Single(file=nodes, places=("raw/nodes",)))
    )


PICTURES = {f"top/train/{name}/{number}.jpg": PICTURE for name in "ab" for number in range(2)}
PARTS = {"train": Classes(classes=2, images=4)}


def packed(web: Web, tmp_path: Path, **parts: object) -> DataSet:
    """An archive of four pictures."""
    body = zipped(tmp_path / "published.zip", PICTURES).read_bytes()
    return dataset(archives=(Archive(file=web.publish("published.zip", body), below="top"),), classes=PARTS, **parts)


@pytest.fixture
def go(tmp_path: Path) -> Callable[..., list[str]]:
    """Prepare below tmp_path/data; returns what was said."""

    def run(wanted: DataSet, **means: object) -> list[str]:
        said: list[str] = []
        quick = dataclasses.replace(HURRIED, tries=2)
        given = Means(meter=Silent(), say=said.append, patience=quick, **means)  # type: ignore[arg-type]
        prepare(wanted, tmp_path / "data", given)
        return said

    return run


def place(tmp_path: Path) -> Path:
    return tmp_path / "data/graphs/t"


def test_files_are_fetched_once_and_lie_where_they_belong(
    web: Web, tmp_path: Path, go: Callable[..., list[str]]
) -> None:
    wanted = files(web)
    assert go(wanted) == [f"t is ready: {place(tmp_path)}"]
    assert tree(place(tmp_path)) == ["geom/edges", "raw/edges", "raw/nodes"]
    assert len(web.requests) == 2
    assert go(wanted) == [f"t is there already: {place(tmp_path)}"]
    assert len(web.requests) == 2


def test_what_arrived_before_an_interruption_is_not_fetched_again(
    web: Web, tmp_path: Path, go: Callable[..., list[str]]
) -> None:
    wanted = files(web)
    web.pages["nodes"].answers = [404]
    with pytest.raises(DataSetError, match="404"):
        go(wanted)
    assert tree(place(tmp_path)) == ["geom/edges", "raw/edges"]
    go(wanted)
    assert [name for name, _ in web.requests] == ["edges", "nodes", "nodes"]


def test_a_wrong_file_in_place_is_never_replaced(web: Web, tmp_path: Path, go: Callable[..., list[str]]) -> None:
    write(place(tmp_path), {"raw/edges": b"mine"})
    with pytest.raises(DataSetError, match=r"raw/edges is not the published file\. Move it away"):
        go(files(web))
    assert (place(tmp_path) / "raw/edges").read_bytes() == b"mine"


def test_an_archive_is_unpacked_and_put_in_place_at_once(
    web: Web, tmp_path: Path, go: Callable[..., list[str]]
) -> None:
    go(packed(web, tmp_path))
    assert tree(place(tmp_path)) == ["train/a/0.jpg", "train/a/1.jpg", "train/b/0.jpg", "train/b/1.jpg"]
    assert tree(tmp_path / "data/.unsmooth") == ["t.lock"]


def test_an_archive_that_does_not_hold_what_was_announced_leaves_nothing(
    web: Web, tmp_path: Path, go: Callable[..., list[str]]
) -> None:
    wanted = dataclasses.replace(packed(web, tmp_path), classes={"train": Classes(classes=2, images=5)})
    with pytest.raises(DataSetError, match="train: 4 pictures; 5 were published") as raised:
        go(wanted)
    assert raised.value.exit_code == 2
    assert not place(tmp_path).exists()


def test_a_folder_that_is_there_and_incomplete_is_left_alone(
    web: Web, tmp_path: Path, go: Callable[..., list[str]]
) -> None:
    write(place(tmp_path), {"train/a/0.jpg": PICTURE})
    with pytest.raises(DataSetError, match=r"is there and not complete: train: 1 class folders.*Move it away"):
        go(packed(web, tmp_path))
    assert tree(place(tmp_path)) == ["train/a/0.jpg"]


def test_an_archive_given_by_hand_is_checked_and_used_without_network(
    web: Web, tmp_path: Path, go: Callable[..., list[str]]
) -> None:
    wanted = packed(web, tmp_path)
    other = zipped(tmp_path / "other.zip", {**PICTURES, "top/extra": b""})
    with pytest.raises(DataSetError, match=r"other\.zip is not published\.zip as published: it has"):
        go(wanted, have=[other])
    go(wanted, have=[tmp_path])
    assert web.requests == []
    assert verify.verify(wanted, tmp_path / "data").ok


def test_a_folder_that_is_unpacked_already_is_copied(web: Web, tmp_path: Path, go: Callable[..., list[str]]) -> None:
    mine = write(tmp_path / "mine/t", {name.removeprefix("top/"): content for name, content in PICTURES.items()})
    mine.chmod(0o555)
    go(packed(web, tmp_path), have=[mine.parent])
    assert tree(place(tmp_path)) == tree(mine)
    assert place(tmp_path).stat().st_mode & 0o200


def corpus(web: Web, tmp_path: Path) -> tuple[DataSet, dict[str, bytes]]:
    """An archive of two files, and those."""
    texts = {"train.tokens": b" one \n", "test.tokens": b" two \n"}
    body = zipped(tmp_path / "published.zip", {f"top/{name}": text for name, text in texts.items()}).read_bytes()
    singles = tuple(
        Single(file=Published(name=name, check=Checksum("sha256", hashlib.sha256(text).hexdigest())), places=(name,))
        for name, text in texts.items()
    )
    archive = Archive(file=web.publish("published.zip", body), below="top")
    return dataset(archives=(archive,), singles=singles), texts


@pytest.mark.parametrize("given", [["mine/train.tokens", "mine/test.tokens"], ["mine"]])
def test_files_out_of_an_archive_are_taken_as_they_are(
    given: list[str], web: Web, tmp_path: Path, go: Callable[..., list[str]]
) -> None:
    wanted, texts = corpus(web, tmp_path)
    write(tmp_path / "mine", {**texts, "letter.txt": b"private"})
    go(wanted, have=[tmp_path / name for name in given])
    assert (tree(place(tmp_path)), web.requests) == (sorted(texts), [])


def test_a_part_of_the_files_out_of_an_archive_is_not_enough_and_a_changed_one_is_refused(
    web: Web, tmp_path: Path, go: Callable[..., list[str]]
) -> None:
    wanted, texts = corpus(web, tmp_path)
    mine = write(tmp_path / "mine", {**texts, "test.tokens": b" TWO \n"})
    with pytest.raises(UsageError, match=r"--from holds a part of t, but not test\.tokens\. Give all of its files"):
        go(wanted, have=[mine / "train.tokens"])
    with pytest.raises(DataSetError) as raised:
        go(wanted, have=[mine])
    assert raised.value.messages[1].startswith("test.tokens: checksum")
    assert not place(tmp_path).exists()


def test_a_file_in_the_place_of_the_folder_is_told(web: Web, tmp_path: Path, go: Callable[..., list[str]]) -> None:
    write(tmp_path / "data/graphs", {"t": b"mine"})
    for wanted in (files(web), packed(web, tmp_path)):
        with pytest.raises(DataSetError, match=r"graphs/t cannot be used as a folder: it is a file\. Move it away"):
            go(wanted)
    place(tmp_path).unlink()
    write(place(tmp_path), {"raw": b"mine"})
    with pytest.raises(DataSetError, match=r"raw/edges cannot be written"):
        go(files(web))


def test_what_is_given_and_cannot_be_read_is_told(web: Web, plain: Path) -> None:
    pictures = {name.removeprefix("top/"): content for name, content in PICTURES.items()}
    write(plain / "mine", {**pictures, "raw/edges": b"edges" * 9, "raw/nodes": b"nodes" * 9})
    cases = (("train/a", packed(web, plain)), ("train/a/0.jpg", packed(web, plain)), ("raw/edges", files(web)))
    for name, wanted in (*cases, ("raw", files(web)), (".", files(web))):
        locked = plain / "mine" / name
        mode = locked.stat().st_mode
        locked.chmod(0)
        with pytest.raises(UsageError, match=rf"--from .*{name}.*: it cannot be read \(Permission denied\)"):
            prepare(wanted, plain / "data", Means(meter=Silent(), say=lambda line: None, have=[plain / "mine"]))
        locked.chmod(mode)


def test_files_given_by_hand_are_found_by_name_and_by_place(
    web: Web, tmp_path: Path, go: Callable[..., list[str]]
) -> None:
    write(tmp_path / "mine", {"t/raw/edges": b"edges" * 9, "nodes": b"nodes" * 9, "s/raw/nodes": b"of another"})
    go(files(web), have=[tmp_path / "mine"])
    assert web.requests == []


def test_what_needs_a_registration_is_told_and_never_downloaded(
    web: Web, tmp_path: Path, go: Callable[..., list[str]]
) -> None:
    wanted = packed(web, tmp_path, by_hand="Register at the homepage.")
    with pytest.raises(DataSetError) as raised:
        go(wanted)
    told = "\n".join(raised.value.messages)
    for part in (
        "Register at the homepage.",
        "Licence: Free",
        "http://home",
        "published.zip",
        "--from",
        "4 pictures in 2",
    ):
        assert part in told
    with pytest.raises(UsageError, match=r"--from holds no published\.zip, and t is not downloaded"):
        go(wanted, have=[tmp_path / "data"])
    assert web.requests == []
    go(wanted, have=[tmp_path / "published.zip"])


def test_without_network_it_says_what_to_fetch_and_where_to_put_it(
    tmp_path: Path, go: Callable[..., list[str]]
) -> None:
    file = Published(name="edges", url=f"http://127.0.0.1:{closed_port()}/raw/edges")
    with pytest.raises(DataSetError) as raised:
        go(dataset(singles=(Single(file=file, places=("raw/edges",)),)))
    assert len(raised.value.messages) == 1
    for part in ("The host 127.0.0.1 could not be reached", "download edges from", "--from FOLDER", "data verify t"):
        assert part in raised.value.messages[0]


def test_the_first_download_of_a_file_without_checksum_is_recorded_and_expected_from_then_on(
    web: Web, tmp_path: Path, go: Callable[..., list[str]]
) -> None:
    wanted = files(web, known=False)
    said, report = go(wanted), verify.verify(wanted, tmp_path / "data")
    assert any(sentence.startswith("No checksum is published for 3 files") for sentence in said)
    assert [found.status for found in report.files] == ["recorded"] * 3
    (place(tmp_path) / "raw/nodes").unlink()
    web.publish("nodes", b"something else", known=False)
    with pytest.raises(DataSetError, match="is not what was recorded at its first download"):
        go(wanted)
    assert not (place(tmp_path) / "raw/nodes").exists()
    write(place(tmp_path), {"raw/nodes": b"something else"})
    with pytest.raises(DataSetError, match="raw/nodes is not the file recorded at its first download"):
        go(wanted)


def test_what_has_just_been_recorded_is_reported_as_a_second_look_would(
    web: Web, tmp_path: Path, go: Callable[..., list[str]]
) -> None:
    means = Means(meter=Silent(), say=lambda line: None, patience=HURRIED)
    wanted = files(web, known=False)
    report = prepare(wanted, tmp_path / "data", means)
    assert report == verify.verify(wanted, tmp_path / "data")
    assert report.notes == []


def test_an_address_that_brings_no_file_any_more_leads_to_the_homepage(web: Web, go: Callable[..., list[str]]) -> None:
    wanted = files(web)
    web.pages["edges"].answers = [404]
    with pytest.raises(
        DataSetError, match=r"answers 404.* Look for the published file at http://home and give it with"
    ):
        go(wanted)


def test_a_checksum_of_ones_own_decides_where_none_is_published(
    web: Web, tmp_path: Path, go: Callable[..., list[str]]
) -> None:
    wanted = dataset(singles=(Single(file=web.publish("edges", b"edges", known=False), places=("edges",)),))
    with pytest.raises(DataSetError, match="is not the published file: its checksum is"):
        go(wanted, check=Checksum("sha256", "0" * 64))
    go(wanted, check=Checksum("sha256", hashlib.sha256(b"edges").hexdigest()))
    with pytest.raises(UsageError, match="--sha256 is for a data set with one file that has no published checksum"):
        go(files(web), check=Checksum("sha256", "0" * 64))


def test_two_at_once_do_not_get_into_each_others_way(web: Web, tmp_path: Path, go: Callable[..., list[str]]) -> None:
    lock = tmp_path / "data/.unsmooth/t.lock"
    lock.parent.mkdir(parents=True)
    with lock.open("a") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(UsageError, match=r"is being prepared in .* by another process"):
            go(files(web))


def test_a_folder_given_that_does_not_exist_is_told(web: Web, tmp_path: Path, go: Callable[..., list[str]]) -> None:
    with pytest.raises(UsageError, match=r"--from .*nowhere: no such file or folder"):
        go(files(web), have=[tmp_path / "nowhere"])
