"""The command line as its users meet it: exit codes, whole sentences, JSON, and a real run on the karate club."""

import json
import shlex
import subprocess
import sys
from typing import Any

import pytest

from tests.suite.command import Command

PLAN = """
name: tiny
tier: development
seeds: [0]
tasks:
  - task: graph
    data: karate
    steps: 4
variants: [softmax, neutreno]
"""


@pytest.fixture(scope="module")
def unsmooth(tmp_path_factory: pytest.TempPathFactory) -> Command:
    """The command in a folder with one plan, two new variant files and one torn one."""
    folder = tmp_path_factory.mktemp("work")
    (folder / "tiny.yaml").write_text(PLAN)
    (folder / "torn.py").write_text("class Torn(:\n")
    return Command(folder, tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="module")
def first_run(unsmooth: Command) -> "subprocess.CompletedProcess[str]":
    """Two built-in variants, a new one and a torn one, run for real."""
    assert unsmooth("new", "my_idea").returncode == 0
    return unsmooth("run", "tiny.yaml", "--variant-file", "my_idea.py", "--variant-file", "torn.py", "--json")


def test_the_version_is_printed(unsmooth: Command) -> None:
    done = unsmooth("--version")
    assert (done.returncode, done.stdout.split()[0]) == (0, "unsmooth")


def test_nothing_heavy_is_imported_before_a_command_needs_it() -> None:
    code = "import sys, suite.cli; print({'ray', 'mlflow', 'torch', 'plotly', 'scipy'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


@pytest.mark.parametrize("command", ["list", "plan", "run", "status", "leaderboard", "record", "new", "doctor", "data"])
def test_every_command_explains_itself(unsmooth: Command, command: str) -> None:
    done = unsmooth(command, "--help")
    assert done.returncode == 0
    assert "Usage:" in done.stdout


def test_list_shows_variants_tasks_and_data_with_their_defaults(unsmooth: Command) -> None:
    text = unsmooth("list").stdout
    for part in ("neutreno", "lam=0.6 (float)", "Task graph", "karate", "depth="):
        assert part in text
    assert unsmooth.json("list")["tasks"]["graph"]["steps"] > 0


def test_plan_counts_before_anything_is_spent(unsmooth: Command) -> None:
    done = unsmooth("plan", "smoke", "--runs", "empty")
    assert "48 jobs: graph 12, language 12, classification 12, segmentation 12." in done.stdout
    for part in ("Already finished: 0.", "core-hours", "at once", "GB free", "48 guessed"):
        assert part in done.stdout
    assert not (unsmooth.folder / "empty").exists()


def test_plan_measures_a_few_real_steps_and_remembers_them(unsmooth: Command) -> None:
    probe = ("plan", "tiny.yaml", "--runs", "probed", "--probe", "--steps", "3")
    first = unsmooth.json(*probe)
    assert first["estimate"]["origins"] == {"probed": 2}
    (found,) = first["probes"]
    assert (found["name"], found["problem"], found["remembered"]) == (
        "graph karate model=gcn depth=2 softmax",
        None,
        False,
    )
    assert found["pace"]["validate_every"] == 1
    assert min(found["pace"][part] for part in ("start_s", "step_s", "validate_s", "finish_s", "peak_bytes")) > 0
    assert unsmooth.json(*probe)["probes"] == [found | {"remembered": True}]


def test_a_probe_without_data_says_so_and_the_estimate_stays_a_guess(unsmooth: Command) -> None:
    (unsmooth.folder / "cora.yaml").write_text(PLAN.replace("karate", "cora"))
    done = unsmooth("plan", "cora.yaml", "--runs", "probed", "--probe")
    assert done.returncode == 0
    assert "graph cora/public model=gcn depth=2 softmax: no probe: cora: " in done.stderr
    assert "not found in DATA/graphs/planetoid. Run `unsmooth data prepare cora`" in done.stderr
    assert "point --data to the folder" in done.stderr
    assert "2 guessed" in done.stdout


def test_a_batch_that_the_processes_cannot_share_is_refused_before_anything_is_started(unsmooth: Command) -> None:
    for command in ("plan", "run"):
        done = unsmooth(command, "nano", "--processes", "3", "--runs", "uneven")
        assert done.returncode == 2
        assert "entry 'language': global_batch 16 is not divisible by 3 processes; use 1, 2 or 4." in done.stderr
    assert not (unsmooth.folder / "uneven").exists()


def test_plan_as_json_lists_every_job(unsmooth: Command) -> None:
    document = unsmooth.json("plan", "nano", "--runs", "empty", "--select", "segmentation")
    assert document["counts"]["by_task"] == {"classification": 2, "segmentation": 2}
    assert [job["name"] for job in document["jobs"] if job["upstream"]] == [
        "segmentation/scenes/softmax/seed 0",
        "segmentation/scenes/neutreno[lam=0.6]/seed 0",
    ]


def test_a_folder_of_a_plans_name_does_not_hide_the_plan(unsmooth: Command) -> None:
    (unsmooth.folder / "paper").mkdir()
    done = unsmooth("plan", "paper", "--runs", "empty", "--select", "texas", "--seeds", "0")
    assert done.returncode == 0
    assert done.stdout.startswith("Plan paper (ranked): ")


def test_a_dry_run_starts_and_writes_nothing(unsmooth: Command) -> None:
    done = unsmooth("run", "tiny.yaml", "--dry-run", "--runs", "dry", "--seeds", "0-2,5")
    assert done.returncode == 0
    assert "8 jobs" in done.stdout
    assert not (unsmooth.folder / "dry").exists()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["plan", "nanno"], "Unknown plan 'nanno'. Did you mean 'nano'?"),
        (["plan", "none.yaml"], "none.yaml: no such file."),
        (["plan", "tiny.yaml", "--select", "grph"], "--select 'grph' matches no job."),
        (["plan", "tiny.yaml", "--seeds", "1,x"], "--seeds '1,x': 'x' is no seed."),
        (["plan", "tiny.yaml", "--variant-file", "none.py"], "--variant-file none.py: no such file."),
        (["run", "tiny.yaml", "--runs", "tiny.yaml"], "The runs folder tiny.yaml cannot be written"),
        (["status", "--runs", "none"], "There is no runs folder none."),
        (["leaderboard", "--runs", "none"], "No plan was run into none yet."),
        (["new", "softmax"], "There is a variant 'softmax' already."),
        (["run", "tiny.yaml", "--rerun", "all"], "--rerun"),
        (["nonsense"], "nonsense"),
    ],
)
def test_a_wrong_request_exits_with_2_and_one_clear_message(
    unsmooth: Command, arguments: list[str], expected: str
) -> None:
    done = unsmooth(*arguments)
    assert done.returncode == 2
    assert expected in done.stderr
    assert done.stdout == ""


def test_all_problems_of_a_plan_are_told_at_once(unsmooth: Command) -> None:
    bad = PLAN.replace("neutreno]", "neutrino, {name: neutreno, arguments: {lam: -1}}]").replace("karate", "karat")
    (unsmooth.folder / "bad.yaml").write_text(bad)
    done = unsmooth("run", "bad.yaml")
    assert done.returncode == 2
    lines = done.stderr.splitlines()
    assert [line.split(": ")[1] for line in lines] == ["tasks[0].data", "variants[1].name", "variants[2].arguments.lam"]
    assert lines[2].endswith("lam must be >= 0, got -1.0.")


def test_new_says_what_to_type_next(unsmooth: Command) -> None:
    done = unsmooth("new", "other_idea", "-o", "ideas")
    assert done.returncode == 0
    assert len([line for line in done.stdout.splitlines() if line.startswith("  unsmooth ")]) == 3
    again = unsmooth("new", "other_idea", "-o", "ideas")
    assert (again.returncode, "exists already" in again.stderr) == (2, True)


def planned(unsmooth: Command) -> list[dict[str, Any]]:
    jobs: list[dict[str, Any]] = json.loads((unsmooth.folder / "runs" / "plans" / "tiny.json").read_text())["jobs"]
    return [job for job in jobs if job["spec"]["variant"] != "torn"]


def test_a_torn_variant_fails_alone_and_the_rest_is_on_the_board(
    unsmooth: Command, first_run: "subprocess.CompletedProcess[str]"
) -> None:
    assert first_run.returncode == 1, first_run.stderr
    document = json.loads(first_run.stdout)
    assert document["counts"] == {"failed": 1, "ok": 3}
    assert {job["predicted"]["origin"] for job in planned(unsmooth)} == {"guessed"}
    assert document["record"]["missing"] == {}
    (failed,) = [result for result in document["results"] if result["status"] == "failed"]
    assert failed["failure"] == "variant_error"
    assert "torn.py, line 1" in failed["reason"]
    page = (unsmooth.folder / document["board"][0]).read_text(encoding="utf-8")
    assert "my_idea" in page
    assert "torn" in page


@pytest.mark.usefixtures("first_run")
def test_finished_jobs_stay_and_a_recording_server_that_is_down_does_not_matter(unsmooth: Command) -> None:
    select = ["--select", "softmax", "--select", "neutreno"]
    done = unsmooth("run", "tiny.yaml", *select, "--tracking-uri", "http://127.0.0.1:9")
    assert done.returncode == 0, done.stderr
    assert "Already finished: 2. Failed before: 0. Left: 0." in done.stdout
    assert "complete it later with: unsmooth record --runs runs --tracking-uri http://127.0.0.1:9" in done.stdout
    assert done.stdout.endswith("Leaderboard: runs/leaderboard.html\n")
    assert len(list((unsmooth.folder / "runs").glob("*/attempts/*"))) == 3


@pytest.mark.usefixtures("first_run")
@pytest.mark.parametrize("variant", ["neutreno", "my_idea"])
def test_the_command_that_the_board_prints_for_a_job_works_in_the_same_folder(unsmooth: Command, variant: str) -> None:
    rows = [entry["row"] for task in unsmooth.json("leaderboard")["tasks"] for entry in task["settings"][0]["entries"]]
    (trial,) = next(row["trials"] for row in rows if row["variant"] == variant)
    command = shlex.split(trial["rerun"])
    done = unsmooth(*command[1:], "--dry-run")
    assert (command[0], done.returncode) == ("unsmooth", 0), done.stderr
    assert "1 job" in done.stdout


@pytest.mark.usefixtures("first_run")
def test_status_tells_how_jobs_stand(unsmooth: Command) -> None:
    states = unsmooth.json("status")
    assert sorted(state["state"] for state in states) == ["failed", "ok", "ok", "ok"]
    assert "1 failed" in unsmooth("status").stdout


@pytest.mark.usefixtures("first_run")
def test_the_board_can_be_written_elsewhere(unsmooth: Command) -> None:
    done = unsmooth("leaderboard", "-o", "published")
    assert done.returncode == 0
    names = {path.name for path in (unsmooth.folder / "published").iterdir()}
    assert {"leaderboard.html", "leaderboard.md", "leaderboard.csv"} <= names
    assert unsmooth.json("leaderboard")["name"] == "tiny"


@pytest.mark.usefixtures("first_run")
def test_measured_times_replace_guesses(unsmooth: Command) -> None:
    document = unsmooth.json("plan", "tiny.yaml", "--force")
    assert document["estimate"]["origins"] == {"measured": 2}


@pytest.mark.usefixtures("first_run")
def test_record_copies_what_is_not_there_yet_and_says_if_it_cannot(unsmooth: Command) -> None:
    assert unsmooth("record").returncode == 0
    down = unsmooth("record", "--tracking-uri", "http://127.0.0.1:9")
    assert (down.returncode, "run the same command again" in down.stderr) == (1, True)
