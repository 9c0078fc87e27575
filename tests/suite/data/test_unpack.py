"""Archives that are damaged or mean harm."""

import random
import tarfile
import zipfile
from pathlib import Path

import pytest

from suite.data.unpack import read, unpack
from suite.errors import DataSetError
from tests.suite.data.packing import tar, tree, zipped

PACKERS = (("a.tar", tar), ("a.zip", zipped))


def same(name: str) -> str:
    return name


@pytest.mark.parametrize(("name", "pack"), PACKERS)
def test_members_are_renamed_and_what_nobody_wants_stays_out(name: str, pack: object, tmp_path: Path) -> None:
    members = {"a/one.txt": b"1", "a/two.txt": b"2", ".hidden/x": b"", "__MACOSX/a": b"", "a/._one.txt": b""}
    archive = pack(tmp_path / name, members)  # type: ignore[operator]
    count = unpack(archive, tmp_path / "out", lambda name: name.upper() if "one" in name else None)
    assert (count, tree(tmp_path / "out")) == (1, ["A/ONE.TXT"])


@pytest.mark.parametrize(("name", "pack"), PACKERS)
@pytest.mark.parametrize("evil", ["../out.txt", "/tmp/out.txt", "a/../../out.txt", "a\\..\\out.txt"])
def test_a_member_that_would_land_outside_stops_everything(name: str, pack: object, evil: str, tmp_path: Path) -> None:
    archive = pack(tmp_path / "in" / name, {evil: b"harm"})  # type: ignore[operator]
    with pytest.raises(DataSetError, match="would land outside its folder; it is not unpacked"):
        unpack(archive, tmp_path / "in" / "out", same)
    assert tree(tmp_path) == [f"in/{name}"]


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_in_a_tar_archive_are_refused(kind: bytes, tmp_path: Path) -> None:
    odd = tarfile.TarInfo("a/odd")
    odd.type, odd.linkname = kind, "/etc/passwd"
    with pytest.raises(DataSetError, match="holds 'a/odd', which is no plain file"):
        unpack(tar(tmp_path / "a.tar", {}, odd=odd), tmp_path / "out", same)


def test_a_link_in_a_zip_archive_is_refused(tmp_path: Path) -> None:
    link = zipfile.ZipInfo("a/link")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(DataSetError, match="holds 'a/link', which is no plain file"):
        unpack(tmp_path / "a.zip", tmp_path / "out", same)


def test_an_archive_cut_short_is_said_to_be_damaged(tmp_path: Path) -> None:
    whole = tar(tmp_path / "a.tar.gz", {"a": bytes(range(256)) * 999}, mode="w:gz").read_bytes()
    (tmp_path / "a.tar.gz").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "b.zip").write_bytes(zipped(tmp_path / "c.zip", {"a": b"1"}).read_bytes()[:-10])
    (tmp_path / "d.tar.gz").write_bytes(whole[:5])
    for name in ("a.tar.gz", "b.zip", "d.tar.gz"):
        with pytest.raises(DataSetError, match=r"It is damaged: download it again\.") as raised:
            unpack(tmp_path / name, tmp_path / "out", same)
        assert "\n" not in raised.value.messages[0]


@pytest.mark.parametrize("content", [b"no archive at all\n" * 99, b""])
def test_what_is_no_archive_at_all_is_said_to_be_none(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_bytes(content)
    with pytest.raises(DataSetError) as raised:
        unpack(tmp_path / "a.tar", tmp_path / "out", same)
    assert raised.value.messages == (f"{tmp_path / 'a.tar'} is no tar or zip archive. Give the one that is needed.",)


@pytest.mark.parametrize("compression", ["gz", "bz2", "xz"])
def test_a_compressed_archive_damaged_inside_a_member_is_refused(compression: str, tmp_path: Path) -> None:
    noise = random.Random(0).randbytes(1 << 16)  # stored as it is: a changed byte is still valid to the unpacker
    archive = tar(tmp_path / "a.tar", {"a": noise}, mode=f"w:{compression}")
    content = bytearray(archive.read_bytes())
    content[len(content) // 2] ^= 1
    archive.write_bytes(content)
    for look in (lambda: unpack(archive, tmp_path / "out", same), lambda: read(archive, "a")):
        with pytest.raises(DataSetError, match="cannot be unpacked"):
            look()


def test_a_zip_archive_with_a_password_is_told(tmp_path: Path) -> None:
    archive = zipped(tmp_path / "a.zip", {"a": b"1"})
    content = bytearray(archive.read_bytes())
    content[content.index(b"PK\x03\x04") + 6] |= 1  # the flag in the member's own header and in the directory
    content[content.index(b"PK\x01\x02") + 8] |= 1
    archive.write_bytes(content)
    for look in (lambda: unpack(archive, tmp_path / "out", same), lambda: read(archive, "a")):
        with pytest.raises(DataSetError, match=r"is protected by a password; it is not unpacked\. Unpack it yourself"):
            look()


def test_two_members_of_one_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataSetError, match=r"holds x twice in one folder"):
        unpack(tar(tmp_path / "a.tar", {"a/x": b"1", "b/x": b"2"}), tmp_path / "out", lambda name: "x")


@pytest.mark.parametrize(("name", "pack"), PACKERS)
def test_one_member_can_be_read_alone(name: str, pack: object, tmp_path: Path) -> None:
    archive = pack(tmp_path / name, {"kit/data/truth.txt": b"7"})  # type: ignore[operator]
    assert read(archive, "data/truth.txt") == b"7"
    with pytest.raises(DataSetError, match=r"holds no meta\.mat"):
        read(archive, "meta.mat")
