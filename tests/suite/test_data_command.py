"""`unsmooth data`: what it says, and how it ends. Two of its calls are real ones; the rest spare the process."""

import json
from pathlib import Path
from typing import Any

import pytest
import typer

from suite.commands import data
from suite.errors import DataSetError, UnsmoothError, UsageError
from tests.suite.command import Command
from tests.suite.data.packing import PICTURE, write

Listed = dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def unsmooth(tmp_path_factory: pytest.TempPathFactory) -> Command:
    return Command(tmp_path_factory.mktemp("work"), tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="module")
def listed(unsmooth: Command) -> Listed:
    """The real list, of a folder with CamVid in it and a part of Actor."""
    parts = [part + kind for part in ("train", "val", "test") for kind in ("", "annot")]
    write(unsmooth.folder, {f"CamVid/{part}/a.png": PICTURE for part in parts})
    write(unsmooth.folder, {"graphs/actor/raw/out1_graph_edges.txt": b"cut short"})
    return {row["name"]: row for row in unsmooth.json("data", "list", "--data", unsmooth.folder)}


@pytest.fixture
def known(listed: Listed, unsmooth: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tasks need not be described again."""
    monkeypatch.setenv("XDG_CACHE_HOME", unsmooth.environment["XDG_CACHE_HOME"])


def test_every_data_set_is_listed_with_what_matters_and_whether_it_is_there(listed: Listed) -> None:
    assert listed["camvid"] | {"state": "present", "place": "CamVid", "task": "segmentation"} == listed["camvid"]
    assert listed["wikitext-2"]["downloads"][0]["url"].startswith("https://wikitext.smerity.com/")
    assert {listed[name]["state"] for name in ("digits", "karate", "pydoc", "scenes")} == {"embedded"}
    assert [listed[name]["state"] for name in ("actor", "cora", "imagefolder")] == ["incomplete", "absent", "yours"]
    assert all(row["licence"] and row["source"] and row["size"] for row in listed.values())


def test_every_data_set_of_the_tasks_can_be_prepared_or_needs_no_preparation(listed: Listed) -> None:
    odd = [name for name, row in listed.items() if row["place"] == "-" and row["state"] != "embedded"]
    assert odd == ["imagefolder"]


def test_the_table_for_people_holds_them_all(known: None, listed: Listed, capsys: pytest.CaptureFixture[str]) -> None:
    data.list_()
    shown = capsys.readouterr().out
    assert all(name in shown for name in listed)


@pytest.mark.parametrize(
    ("verb", "name", "options", "kind", "sentence"),
    [
        (data.verify_, "camvit", {"data": Path()}, UsageError, "Unknown data set 'camvit'. Did you mean 'camvid'?"),
        (data.verify_, "imagefolder", {"data": Path()}, UsageError, "imagefolder is any folder of yours"),
        (data.verify_, "cora", {}, UsageError, "--data is missing: give the folder that holds the data sets"),
        (data.verify_, "cora", {"data": Path("none")}, UsageError, "--data none: there is no such folder."),
        (data.prepare, "cora", {"data": Path("file")}, UsageError, "--data file: it is a file. Give a folder."),
        (data.prepare, "cora", {"data": Path("file/x")}, UsageError, "--data file/x: it cannot be written (Not a dir"),
        (data.prepare, "cora", {"data": Path(), "sha256": "12"}, UsageError, "--sha256: '12' is no checksum: give 64"),
        (data.prepare, "imagenet", {"data": Path()}, DataSetError, "imagenet is not downloaded by this command."),
        (data.prepare, "camvid", {"data": Path(), "have": [Path("no.tar")]}, UsageError, "--from no.tar: no such file"),
    ],
)  # fmt: skip
def test_a_wrong_request_is_told_in_a_sentence_with_exit_code_2(
    verb: Any, name: str, options: dict[str, Any], kind: type[UnsmoothError], sentence: str, known: None,
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    Path("file").write_text("")
    with pytest.raises(kind) as raised:
        verb(name, **options)
    assert raised.value.exit_code == 2
    assert raised.value.messages[0].startswith(sentence)


def test_the_command_itself_ends_with_2_and_keeps_standard_output_clean(unsmooth: Command) -> None:
    done = unsmooth("data", "verify", "cora")
    assert (done.returncode, done.stdout, done.stderr[:18]) == (2, "", "--data is missing:")


def test_verify_ends_with_1_where_something_is_wrong_and_names_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path, {"graphs/actor/raw/out1_graph_edges.txt": b"cut short"})
    with pytest.raises(typer.Exit) as ended:
        data.verify_("actor", data=tmp_path)
    assert ended.value.exit_code == 1
    shown = capsys.readouterr().out
    assert "Problem: raw/out1_graph_edges.txt: 9 bytes; the published file has 323,820." in shown
    assert shown.endswith("NOT complete.\n")
    with pytest.raises(typer.Exit):
        data.verify_("actor", data=tmp_path, json=True)
    report = json.loads(capsys.readouterr().out)
    assert (report["ok"], len(report["files"]), len(report["problems"])) == (False, 12, 12)


def test_what_comes_with_a_package_needs_neither(
    known: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data.prepare("karate", data=tmp_path)
    data.verify_("karate", data=tmp_path)
    assert capsys.readouterr().out.count("karate comes with a package that is installed anyway") == 2


def test_a_full_check_of_a_folder_without_published_checksum_is_recorded(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, count in (("train", 367), ("val", 101), ("test", 233)):
        files = {f"CamVid/{name}{kind}/{number}.png": PICTURE for kind in ("", "annot") for number in range(count)}
        write(tmp_path, files)
    data.verify_("camvid", data=tmp_path, full=True)
    assert capsys.readouterr().out.endswith("complete.\n")
    assert "tree" in json.loads((tmp_path / ".unsmooth/camvid.json").read_text())
    (tmp_path / "CamVid/val/7.png").write_bytes(PICTURE + b"!")
    with pytest.raises(typer.Exit):
        data.verify_("camvid", data=tmp_path, full=True)
    assert "recorded before" in capsys.readouterr().out
