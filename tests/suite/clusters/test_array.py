"""Plans as job arrays: upstream first, alike together, and never more tasks than the site allows."""

import json
from pathlib import Path

from jobs.contract import JobFolder, Result
from suite.clusters import array
from suite.clusters.site import Site, Slurm
from suite.planning.plan import Job
from suite.running import single
from suite.running.driver import Options
from tests.suite.fake_runtime import NAME, job


def chain() -> list[Job]:
    """Three jobs, a fourth that starts from the first, and a wide one."""
    first = [job("ok", seed=seed) for seed in range(3)]
    return [*first, job("ok", upstream=first[0].spec), job("ok", threads=4)]


def divided(jobs: list[Job], runs: Path, largest: int = 100) -> list[array.Array]:
    left = single.orders(jobs, Options(runs=runs, runtime=NAME))
    return array.divide(left, gpus={one.id: 0 for one in jobs}, largest=largest)


def test_what_waits_for_another_job_is_in_a_later_array(tmp_path: Path) -> None:
    arrays = divided(chain(), tmp_path)
    assert [(one.depth, one.cpus, len(one.groups)) for one in arrays] == [(0, 1, 3), (0, 4, 1), (1, 1, 1)]


def test_more_jobs_than_tasks_share_tasks(tmp_path: Path) -> None:
    arrays = divided([job("ok", seed=seed) for seed in range(7)], tmp_path, largest=3)
    assert [len(group) for group in arrays[0].groups] == [3, 3, 1]


def test_each_array_counts_on_from_the_one_before(tmp_path: Path) -> None:
    site = Site(slurm=Slurm(mode="array", at_once=2))
    calls = list(array.calls(divided(chain(), tmp_path), site))
    assert [words for _, _, words in calls] == [["jobs", "0"], ["jobs", "3"], ["jobs", "4"]]
    assert calls[0][1] == ["--array=0-2%2", "--cpus-per-task=1"]


def test_a_task_supervises_its_jobs_and_says_how_it_went(tmp_path: Path) -> None:
    jobs = [job("ok"), job("nan", seed=1)]
    orders = tmp_path / "runs" / "slurm" / "orders.jsonl"
    array.write(divided(jobs, tmp_path / "runs"), orders)
    assert [single.main(orders, 0, 0), single.main(orders, 0, 1)] == [0, 1]
    results = [Result.load(JobFolder(tmp_path / "runs" / one.id).result) for one in jobs]
    assert [(one.status, one.failure) for one in results] == [("ok", None), ("failed", "nan")]


def test_a_job_whose_upstream_job_failed_is_a_blocked_row(tmp_path: Path) -> None:
    first = job("nan")
    second = job("ok", upstream=first.spec)
    orders = tmp_path / "runs" / "slurm" / "orders.jsonl"
    array.write(divided([first, second], tmp_path / "runs"), orders)
    assert [single.main(orders, 0, 0), single.main(orders, 1, 0)] == [1, 1]
    assert Result.load(JobFolder(tmp_path / "runs" / second.id).result).status == "blocked"


def test_finished_jobs_are_not_ordered_again(tmp_path: Path) -> None:
    done = job("ok")
    Result(id=done.id, attempt=1, status="ok").save(JobFolder(tmp_path / done.id).result)
    assert single.orders([done], Options(runs=tmp_path, runtime=NAME)) == []


def test_gpus_are_those_that_slurm_gave() -> None:
    assert single.devices({"CUDA_VISIBLE_DEVICES": "2,3"}) == [2, 3]
    assert single.devices({}) == []


def test_an_order_survives_being_written_down(tmp_path: Path) -> None:
    orders = tmp_path / "slurm" / "orders.jsonl"
    array.write(divided(chain(), tmp_path), orders)
    assert [len(json.loads(line)) for line in orders.read_text().splitlines()] == [1] * 5
