"""What is told of files, words and pictures that are not as published."""

import hashlib
from pathlib import Path

import pytest

from suite.data import receipt, sets, verify
from suite.data.checksum import Checksum
from suite.data.sets import Classes, DataSet, Pairs, Published, Single
from tests.suite.data.packing import PICTURE, write


def published(content: bytes) -> Published:
    return Published(name="a", bytes=len(content), check=Checksum("sha256", hashlib.sha256(content).hexdigest()))


def dataset(**parts: object) -> DataSet:
    required = {"summary": "s", "licence": "l", "homepage": "h"}
    return DataSet(name="t", place="place", **required, **parts)  # type: ignore[arg-type]


def classes() -> DataSet:
    return dataset(classes={"train": Classes(classes=2, images=4, each=(2, 2))})


def pictures(root: Path) -> Path:
    return write(root / "place", {f"train/{name}/{number}.jpg": PICTURE for name in "ab" for number in range(2)})


def test_every_file_is_reported_with_what_was_expected_and_what_is_there(tmp_path: Path) -> None:
    wanted = {"good": b"one", "changed": b"two", "longer": b"three", "missing": b"four"}
    singles = tuple(Single(file=published(content), places=(name,)) for name, content in wanted.items())
    write(tmp_path / "place", {"good": b"one", "changed": b"TWO", "longer": b"three!", "other": b""})
    report = verify.verify(dataset(singles=singles), tmp_path)
    assert {found.path: found.status for found in report.files} == {
        "good": "ok",
        "changed": "wrong content",
        "longer": "wrong size",
        "missing": "missing",
    }
    assert not report.ok
    assert [problem.partition(":")[0] for problem in report.problems] == ["changed", "longer", "missing is missing."]
    assert report.notes == ["Also there, and of no concern: other."]


def test_a_file_without_published_checksum_is_held_against_its_first_sight(tmp_path: Path) -> None:
    unpinned = dataset(singles=(Single(file=Published(name="a"), places=("raw/a",)),))
    write(tmp_path / "place", {"raw/a": b"first"})
    first = verify.verify(unpinned, tmp_path)
    assert (first.ok, first.files[0].status) == (True, "unknown")
    verify.record(unpinned, tmp_path, first).save()
    assert verify.verify(unpinned, tmp_path).files[0].status == "recorded"
    write(tmp_path / "place", {"raw/a": b"other"})
    assert verify.verify(unpinned, tmp_path).files[0].status == "wrong content"


def test_words_are_counted_with_one_end_per_line(tmp_path: Path) -> None:
    corpus = dataset(singles=(Single(file=Published(name="a"), places=("a",)),), tokens={"a": 6})
    write(tmp_path / "place", {"a": b" one two \n \n three\n"})
    assert verify.verify(corpus, tmp_path).counts == {"a": {"tokens": 6, "expected_tokens": 6}}
    write(tmp_path / "place", {"a": b" one two \n"})
    assert verify.verify(corpus, tmp_path).problems == ["a: 3 tokens, one end per line counted; 6 were published."]


def test_a_whole_folder_of_classes_is_complete(tmp_path: Path) -> None:
    pictures(tmp_path)
    report = verify.verify(classes(), tmp_path)
    assert report.ok
    assert report.counts["train"]["fewest_of_a_class"] == report.counts["train"]["most_of_a_class"] == 2


def test_missing_surplus_empty_and_strange_pictures_are_told_with_their_names(tmp_path: Path) -> None:
    place = pictures(tmp_path)
    (place / "train/a/0.jpg").unlink()
    (place / "train/a/1.jpg").write_bytes(b"")
    write(place, {"train/b/notes.txt": b"x", "train/c/2.jpg": PICTURE})
    assert verify.verify(classes(), tmp_path).problems == [
        "train: 3 class folders; 2 were published.",
        "train: 2 classes do not hold 2 pictures: a (1), c (1).",
        "train: 1 files are empty: a/1.jpg.",
        "train: 1 files are no pictures: b/notes.txt.",
    ]


def test_a_full_check_looks_into_every_picture_and_remembers_them_all(tmp_path: Path) -> None:
    place = pictures(tmp_path)
    first = verify.verify(classes(), tmp_path, full=True)
    assert first.ok
    verify.record(classes(), tmp_path, first).save()
    (place / "train/a/0.jpg").write_bytes(PICTURE[:-1] + b"!")
    assert verify.verify(classes(), tmp_path).ok
    assert "recorded before" in verify.verify(classes(), tmp_path, full=True).problems[0]
    (place / "train/a/0.jpg").write_bytes(b"<html> not found </html>")
    assert verify.verify(classes(), tmp_path, full=True).problems[0] == (
        "1 files are no pictures inside: train/a/0.jpg."
    )


def test_a_picture_without_label_map_and_a_label_map_without_picture_are_told(tmp_path: Path) -> None:
    pairs = dataset(pairs={"val": Pairs(images="val", masks="valannot", count=2)})
    write(tmp_path / "place", {"val/a.jpg": PICTURE, "val/b.jpg": PICTURE, "valannot/a.png": PICTURE})
    assert verify.verify(pairs, tmp_path).problems == ["val: 1 have no label map: b."]
    write(tmp_path / "place", {"valannot/c.png": PICTURE})
    (tmp_path / "place/val/b.jpg").unlink()
    assert verify.verify(pairs, tmp_path).problems == [
        "val: 1 pictures; 2 were published.",
        "val: 1 have no picture: c.",
    ]


def test_a_place_that_is_not_there_is_one_problem(tmp_path: Path) -> None:
    assert verify.verify(classes(), tmp_path).problems == [f"There is no folder {tmp_path / 'place'}."]


def test_at_a_glance_a_data_set_is_present_incomplete_or_absent(tmp_path: Path) -> None:
    both = dataset(
        classes={"train": Classes(classes=1, images=1), "val": Classes(classes=1, images=1)},
        singles=(Single(file=published(b"12"), places=("a",)),),
    )
    assert verify.standing(both, tmp_path) == "absent"
    write(tmp_path / "place", {"train/a/0.jpg": PICTURE, "val/a/0.jpg": PICTURE, "a": b"1"})
    assert verify.standing(both, tmp_path) == "incomplete"
    write(tmp_path / "place", {"a": b"12"})
    assert verify.standing(both, tmp_path) == "present"


def test_an_unreadable_file_is_a_problem_and_not_the_end(plain: Path) -> None:
    one = dataset(singles=(Single(file=published(b"one"), places=("raw/a",)),), tokens={"raw/a": 2})
    write(plain / "place", {"raw/a": b"one"})
    for locked in (plain / "place/raw/a", plain / "place/raw"):
        locked.chmod(0)
        report = verify.verify(one, plain)
        assert report.files[0].status == "unreadable"
        assert report.problems == ["raw/a cannot be read: it lacks permissions, or the disk is at fault."]
        assert verify.standing(one, plain) == "unreadable"


def test_unreadable_pictures_and_folders_are_problems_and_not_the_end(plain: Path) -> None:
    place = pictures(plain)
    (place / "train/a/0.jpg").chmod(0)
    report = verify.verify(classes(), plain, full=True)
    assert (report.problems, report.tree) == (["1 files cannot be read: train/a/0.jpg."], None)
    (place / "train/b").chmod(0o444)  # may be listed and not entered
    assert verify.verify(classes(), plain).problems == [
        "train: 2 files or folders cannot be read: b/0.jpg, b/1.jpg.",
    ]
    (place / "train/b").chmod(0)
    assert "train: 1 files or folders cannot be read: b/." in verify.verify(classes(), plain).problems
    (place / "train").chmod(0)
    assert "train: 1 files or folders cannot be read: train." in verify.verify(classes(), plain).problems
    assert verify.standing(classes(), plain) == "unreadable"


def test_an_unreadable_folder_of_label_maps_is_one_problem(plain: Path) -> None:
    pairs = dataset(pairs={"val": Pairs(images="val", masks="valannot", count=1)})
    write(plain / "place", {"val/a.jpg": PICTURE, "valannot/a.png": PICTURE})
    (plain / "place/valannot").chmod(0)
    assert verify.verify(pairs, plain).problems == ["valannot: 1 files or folders cannot be read: valannot."]


def test_what_is_no_folder_to_look_into_is_said_to_be_what_it_is(plain: Path) -> None:
    place = plain / "place"
    for make, what in (
        (lambda: place.write_text(""), "a file"),
        (lambda: place.symlink_to("nowhere"), "a dead link"),
        (lambda: place.mkdir(mode=0), "unreadable"),
    ):
        make()
        assert verify.standing(classes(), plain) == what
        assert verify.verify(classes(), plain).problems == [f"{place} cannot be used as a folder: it is {what}."]
        place.rmdir() if what == "unreadable" else place.unlink()


@pytest.mark.parametrize(
    "text",
    [
        '{"files": ',
        '{"files": 1}',
        '{"files": {"a": "text"}}',
        '{"files": {"a": {"check": 1}}}',
        '{"files": {"a": {}}}',
        '{"files": {}, "tree": "text"}',
        '{"files": {}, "tree": {"check": "sha256:12"}}',
    ],
)
def test_a_damaged_receipt_counts_as_none(text: str, tmp_path: Path) -> None:
    empty = receipt.load(tmp_path, "t")
    empty.path.parent.mkdir()
    empty.path.write_text(text)
    assert receipt.load(tmp_path, "t") == empty
    assert verify.verify(classes(), pictures(tmp_path).parent, full=True).ok


def test_what_is_written_down_is_read_again(tmp_path: Path) -> None:
    kept = (
        receipt.load(tmp_path, "t")
        .with_file("a", Checksum("md5", "0" * 32), "h")
        .with_tree(Checksum("sha256", "1" * 64), "h")
    )
    kept.save()
    assert receipt.load(tmp_path, "t") == kept
    assert set(kept.files["a"]) == {"check", "how", "when"}


def test_the_table_is_whole_and_says_where_everything_comes_from() -> None:
    table = sets.load()
    assert len({entry.place for entry in table.values()}) == len(table)
    for entry in table.values():
        assert entry.summary and entry.licence and entry.homepage.startswith("http")
        assert entry.expected or entry.folders, entry.name
        assert all(file.url for file in entry.downloads) or entry.by_hand, entry.name
        assert all((file.url or "https").startswith("http") for file in entry.downloads)
        research = entry.by_hand is not None and "research only" in entry.by_hand
        assert not research or "research" in entry.licence or "NC" in entry.licence, entry.name
    never = {name for name, entry in table.items() if entry.by_hand}
    assert never == {"camvid", "ade20k", "imagenet", "imagenet-a", "imagenet-r", "imagenet-c"}


def test_alternatives_in_a_key_are_parts_of_their_own() -> None:
    parts = sets.find("imagenet-c").classes
    assert len(parts) == 75
    assert parts["jpeg_compression/5"].images == 50_000
