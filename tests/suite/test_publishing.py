"""What is published can be checked anywhere, and a claim that the results do not support is found."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from jobs.contract import JobFolder, Result, read_json, write_json
from suite import publishing
from suite.errors import UsageError
from suite.leaderboard.board import build
from suite.leaderboard.tables import markdown
from suite.planning.manifest import Manifest
from suite.provenance import SOURCE_ROOT
from tests.suite.board_fixture import write_runs
from tests.suite.command import Command


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Manifest]:
    runs = tmp_path_factory.mktemp("runs")
    return runs, write_runs(runs, seeds=(0, 1, 2), tier="ranked", name="small")


@pytest.fixture(scope="module")
def published(source: tuple[Path, Manifest], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("results") / "small"
    publishing.publish(*source, folder)
    return folder


@pytest.fixture
def copy(published: Path, tmp_path: Path) -> Path:
    """One that may be spoilt."""
    return Path(shutil.copytree(published, tmp_path / "small"))


def resummed(folder: Path) -> None:
    """As somebody would who edits results and knows of the digests."""
    (folder / publishing.SUMS).write_text(publishing._sums(folder), encoding="utf-8")


def some_job(folder: Path) -> JobFolder:
    return next(
        job
        for job in map(JobFolder, sorted(folder.iterdir()))
        if job.result.is_file() and read_json(job.result)["status"] == "ok"
    )


def test_what_was_published_holds_and_its_board_is_that_of_the_runs(
    source: tuple[Path, Manifest], published: Path
) -> None:
    assert list(publishing.problems(published)) == []
    assert "curve" in read_json(some_job(source[0]).result)["numbers"]
    assert "curve" not in read_json(some_job(published).result)["numbers"]
    assert (published / "leaderboard.md").read_text(encoding="utf-8") == markdown(build(*source))


def test_no_path_of_this_machine_is_published(source: tuple[Path, Manifest], tmp_path: Path) -> None:
    runs = Path(shutil.copytree(source[0], tmp_path / "runs"))
    job = some_job(runs)
    document = read_json(job.result)
    write_json(job.result, document | {"log_tail": [f"cannot open {runs.absolute()}/x", f"{Path.home()}/secret"]})
    attempt = job.attempt(document["attempt"])
    write_json(attempt.provenance, {"hardware": {"host": "my-laptop", "cpus": 2}, "command": [str(job.root)]})
    publishing.publish(runs, source[1], tmp_path / "out")
    for path in (tmp_path / "out").rglob("*"):
        text = path.read_text(encoding="utf-8") if path.is_file() else ""
        assert str(tmp_path) not in text and "my-laptop" not in text and f"{Path.home()}/" not in text, path
    assert "cannot open RUNS/x" in (tmp_path / "out" / job.root.name / "result.json").read_text(encoding="utf-8")


def test_a_user_without_a_home_keeps_the_slashes(
    source: tuple[Path, Manifest], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = Path(shutil.copytree(source[0], tmp_path / "runs"))
    job = some_job(runs)
    write_json(job.attempt(read_json(job.result)["attempt"]).provenance, {"runtime": "a/b"})
    monkeypatch.setenv("HOME", "/")
    publishing.publish(runs, source[1], tmp_path / "out")
    copied = JobFolder(tmp_path / "out" / job.root.name)
    assert read_json(copied.attempt(read_json(job.result)["attempt"]).provenance) == {"runtime": "a/b"}


def better(folder: Path) -> None:
    job = some_job(folder)
    document = read_json(job.result)
    name = document["numbers"]["primary"]
    document["numbers"]["metrics"][name]["value"] += 5.0
    write_json(job.result, document)
    resummed(folder)


def other_board(folder: Path) -> None:
    path = folder / "leaderboard.md"
    path.write_text(path.read_text(encoding="utf-8").replace("not significant", "better"), encoding="utf-8")
    resummed(folder)


def other_page(folder: Path) -> None:
    path = folder / "leaderboard.html"
    path.write_text(path.read_text(encoding="utf-8").replace("not significant", "better"), encoding="utf-8")
    resummed(folder)


def other_spec(folder: Path) -> None:
    job = some_job(folder)
    write_json(job.spec, read_json(job.spec) | {"steps": 1})
    resummed(folder)


def borrowed_result(folder: Path) -> None:
    one, other = [job for job in map(JobFolder, sorted(folder.iterdir())) if job.result.is_file()][:2]
    shutil.copy(one.result, other.result)
    resummed(folder)


def torn_result(folder: Path) -> None:
    some_job(folder).result.write_text('{"id": ', encoding="utf-8")
    resummed(folder)


def removed(folder: Path) -> None:
    some_job(folder).spec.unlink()


def edited(folder: Path) -> None:
    path = some_job(folder).result
    path.write_text(path.read_text(encoding="utf-8") + " ", encoding="utf-8")


def added(folder: Path) -> None:
    (folder / "notes.txt").write_text("mine", encoding="utf-8")


def seed_twice(folder: Path) -> None:
    path = next((folder / "plans").glob("*.json"))
    document = read_json(path)
    document["jobs"].append(document["jobs"][0])
    write_json(path, document)
    resummed(folder)


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (better, "leaderboard.md: says something else than the results do."),
        (other_board, "leaderboard.md: says something else than the results do."),
        (other_page, "leaderboard.html: says something else than the results do"),
        (other_spec, "its spec is not the manifest's."),
        (borrowed_result, "its result is that of "),
        (torn_result, "not valid JSON"),
        (removed, "spec.json: is missing."),
        (edited, "result.json: has changed since it was published."),
        (added, "notes.txt: was not published."),
        (seed_twice, "has several jobs for one seed"),
    ],
)
def test_what_was_spoilt_is_found(copy: Path, spoil: Callable[[Path], None], says: str) -> None:
    spoil(copy)
    assert any(says in problem for problem in publishing.problems(copy))


def test_a_page_drawn_by_another_version_is_said_not_to_be_compared(copy: Path, tmp_path: Path) -> None:
    (copy / "leaderboard.html").write_text("<!doctype html><title>of before</title>", encoding="utf-8")
    resummed(copy)
    assert list(publishing.problems(copy)) == []
    done = Command(tmp_path, tmp_path / "cache")("validate", copy)
    assert done.returncode == 0
    assert "leaderboard.html was drawn by another version and is not compared" in done.stdout


def test_publishing_again_replaces_what_was_published_and_nothing_else(
    source: tuple[Path, Manifest], copy: Path, tmp_path: Path
) -> None:
    other_page(copy)
    publishing.publish(*source, copy)
    assert list(publishing.problems(copy)) == []
    publishing.verify(copy, {some_job(copy).root.name: 1e9})
    publishing.publish(copy, source[1], copy)
    assert list(publishing.problems(copy)) == list(publishing.differing(copy, publishing.again(copy))) != []
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.txt").write_text("years of work", encoding="utf-8")
    with pytest.raises(UsageError, match="mine holds other things"):
        publishing.publish(*source, mine)
    assert [path.name for path in mine.iterdir()] == ["thesis.txt"]


def test_a_damaged_result_is_named_and_nothing_is_published(source: tuple[Path, Manifest], tmp_path: Path) -> None:
    runs = Path(shutil.copytree(source[0], tmp_path / "runs"))
    job = some_job(runs)
    job.result.write_text("{", encoding="utf-8")
    with pytest.raises(UsageError, match=r"not valid JSON .* Run the job again with --force"):
        publishing.publish(runs, source[1], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_commands_say_what_is_wrong(copy: Path, source: tuple[Path, Manifest], tmp_path: Path) -> None:
    unsmooth = Command(tmp_path, tmp_path / "cache")
    done = unsmooth("publish", "mine", "--runs", source[0])
    assert (done.returncode, done.stderr) == (0, "")
    assert unsmooth("validate", "results/mine").stdout == (
        "results/mine: every file and every claim holds; self-reported: no job was run again.\n"
    )
    better(copy)
    done = unsmooth("validate", copy, "--json")
    assert done.returncode == 1
    assert "leaderboard.csv: says something else than the results do." in json.loads(done.stdout)["problems"]
    for arguments, says in (
        (("validate", tmp_path), "was not published: it holds no SHA256SUMS."),
        (("validate", tmp_path / "absent"), "was not published"),
        (("publish", "My Results", "--runs", source[0]), "is no name for results. Use lower-case letters"),
        (("publish", "mine", "--runs", tmp_path / "absent"), "No plan was run into"),
        (("publish", "mine", "--runs", source[0], "--plan", "smal"), "Unknown plan 'smal'. Did you mean 'small'?"),
    ):
        done = unsmooth(*arguments)
        assert done.returncode == 2 and says in " ".join(done.stderr.split())


def other_value(runs: Path, change: float) -> None:
    job = some_job(runs)
    document = read_json(job.result)
    document["numbers"]["metrics"][document["numbers"]["primary"]]["value"] += change
    document["cost"]["wall_s"] += 1.0
    write_json(job.result, document)


def test_a_folder_is_verified_by_jobs_that_were_run_again(
    source: tuple[Path, Manifest], copy: Path, tmp_path: Path
) -> None:
    unsmooth = Command(tmp_path, tmp_path / "cache")
    runs = Path(shutil.copytree(source[0], tmp_path / "runs"))
    other_value(runs, 0.01)  # another machine's rounding
    done = unsmooth("validate", copy, "--against", runs, "--mark")
    assert done.returncode == 0 and "verified: " in done.stdout
    assert "verified: 1 jobs were run again and agree, 0 of them to the last digit" in unsmooth("validate", copy).stdout
    result = Result.load(some_job(copy).result)
    assert publishing.identical(copy, {result.id: result.numbers["metrics"][result.numbers["primary"]]["value"]}) == 1
    other_value(runs, 30.0)
    done = unsmooth("validate", copy, "--against", runs)
    assert done.returncode == 1 and "run again it has" in done.stdout
    verified = read_json(copy / publishing.VERIFIED)
    verified["jobs"][some_job(copy).root.name] += 30.0
    write_json(copy / publishing.VERIFIED, verified)
    resummed(copy)
    assert any("run again it has" in problem for problem in publishing.problems(copy))


def test_nothing_is_verified_by_nothing(source: tuple[Path, Manifest], copy: Path, tmp_path: Path) -> None:
    for runs in (tmp_path, source[0]):  # nothing, and the runs that were published
        with pytest.raises(UsageError, match=r"No job of .* was run again in"):
            publishing.rerun(copy, runs)
    unsmooth = Command(tmp_path, tmp_path / "cache")
    done = unsmooth("validate", copy, "--mark")
    assert done.returncode == 2 and "give the runs folder with --against" in done.stderr
    (copy / publishing.VERIFIED).write_text("{}", encoding="utf-8")
    resummed(copy)
    done = unsmooth("validate", copy)
    assert done.returncode == 2 and "is damaged" in done.stderr


@pytest.mark.parametrize("folder", sorted(path.parent for path in (SOURCE_ROOT / "results").glob("*/SHA256SUMS")))
def test_every_published_folder_of_the_project_holds(folder: Path) -> None:
    assert list(publishing.problems(folder)) == []
