"""Each thing that must hold after a storm is seen to fail: a guard that cannot go red guards nothing."""

import dataclasses
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import pytest

from jobs.contract import JobFolder, Result
from suite.planning.plan import Job
from suite.running.runtimes.process import MARK
from tests.faults import files, invariants, pack, plan, program

JOBS = plan.jobs(1, idle=1, training=1)
LAST = JOBS[-1]


def publish(runs: Path, job: Job, *, attempt: int = 1) -> None:
    folder = JobFolder(runs / job.id)
    folder.attempt(attempt).root.mkdir(parents=True)
    Result(id=job.id, attempt=attempt, status="ok", numbers=plan.undisturbed(job)).save(folder.result)


def published(runs: Path) -> Mapping[str, bytes]:
    return {path.parent.name: path.read_bytes() for path in runs.glob("*/result.json")}


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """What an undisturbed run leaves."""
    for job in JOBS:
        publish(tmp_path, job)
    return tmp_path


def replace(runs: Path, **fields: object) -> None:
    path = JobFolder(runs / LAST.id).result
    dataclasses.replace(Result.load(path), **fields).save(path)


def judged(runs: Path, first_seen: Mapping[str, bytes] | None = None) -> invariants.Findings:
    return invariants.check(runs, JOBS, first_seen or {})


def test_an_undisturbed_run_has_nothing_against_it(runs: Path) -> None:
    findings = judged(runs, published(runs))
    assert findings.all == []
    assert str(findings) == "2 jobs: 0 lost, 0 duplicated, 0 changed"


def test_a_missing_result_is_lost(runs: Path) -> None:
    JobFolder(runs / LAST.id).result.unlink()
    assert judged(runs).lost == [f"{LAST.id} has no result."]


def test_a_result_that_cannot_be_read_is_lost(runs: Path) -> None:
    JobFolder(runs / LAST.id).result.write_text('{"id": ')
    assert judged(runs).lost == [f"{LAST.id} has no result."]


def test_a_failed_row_that_no_fault_explains_is_lost(runs: Path) -> None:
    replace(runs, status="failed", failure="error", reason="It broke.")
    assert judged(runs).lost == [f"{LAST.id} is failed: It broke."]


@pytest.mark.parametrize("taken", [range(2, 41), [*range(1, 41), 40], range(40, 0, -1)], ids=["lost", "twice", "order"])
def test_a_step_lost_or_taken_twice_or_out_of_order_changes_the_numbers(runs: Path, taken: list[int]) -> None:
    replace(runs, numbers=program.numbers(LAST.spec.seed, taken))
    assert len(judged(runs).changed) == 1


def test_a_result_of_an_attempt_that_was_cut_off_is_changed(runs: Path) -> None:
    JobFolder(runs / LAST.id).attempt(2).root.mkdir()
    assert judged(runs).changed == [f"{LAST.id} counts attempt 1 of [1, 2]."]


def test_a_result_published_again_is_duplicated(runs: Path) -> None:
    before = published(runs)
    replace(runs, cost={"wall_s": 2.0})
    assert judged(runs, before).duplicated == [f"{LAST.id} was published twice."]


def test_a_copy_of_a_result_is_duplicated(runs: Path) -> None:
    Result.load(JobFolder(runs / LAST.id).result).save(runs / "copy" / "result.json")
    assert judged(runs).duplicated == [
        f"{runs / 'copy' / 'result.json'} is a result of {LAST.id} that was not planned."
    ]


def test_two_processes_in_one_folder_are_found(runs: Path) -> None:
    (runs / LAST.id / program.CROWD).write_text("process 7 found another one at work")
    assert judged(runs).duplicated == [f"{LAST.id}: process 7 found another one at work."]


def test_a_second_process_in_a_folder_says_so(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program, "_EVICTION_S", 0.05)
    folder = JobFolder(runs / LAST.id)
    program.alone(folder)
    program.alone(folder)
    assert len(judged(runs).duplicated) == 1


def test_a_process_left_behind_is_found(runs: Path) -> None:
    attempt = runs / LAST.id / "attempts" / "1"
    left = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], env={MARK: str(attempt)})
    try:
        assert judged(runs).left == [f"Process {left.pid} of {attempt} is left."]
    finally:
        left.kill()
        left.wait()


def test_a_half_written_file_is_found(runs: Path) -> None:
    aside = runs / LAST.id / ".result.json.4711"
    aside.write_text("{")
    assert judged(runs).left == [f"{aside} is left."]


@pytest.mark.parametrize("how", files.DAMAGES)
def test_a_damaged_checkpoint_is_passed_over_for_the_one_before(tmp_path: Path, how: str) -> None:
    program.save(tmp_path, 4, 11)
    program.save(tmp_path, 8, 22)
    assert program.newest(tmp_path) == (8, 22)
    files.damage(tmp_path / "step-8.pt", how)
    assert program.newest(tmp_path) == (4, 11)


def test_the_same_seed_deals_the_same_faults_and_a_pack_holds_them_all() -> None:
    dealt = list(pack.deal(random.Random(3), 150))
    assert dealt == list(pack.deal(random.Random(3), 150))
    assert dealt != list(pack.deal(random.Random(4), 150))
    assert Counter(pack.deal(random.Random(3), sum(pack.ALL.values()))) == pack.ALL
