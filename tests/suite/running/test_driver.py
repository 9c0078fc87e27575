"""One command's course, on clusters that do as the test says."""

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from jobs.contract import JobFolder, Result
from suite.errors import ClusterError
from suite.planning.plan import Job
from suite.running import driver, retry
from suite.running.driver import RESTARTS, SHOW_S, Driver, Options
from suite.running.interrupts import Interrupts
from suite.running.order import Order
from suite.running.placement import Wish
from suite.running.state import JobState
from tests.suite.fake_runtime import job
from tests.suite.fake_watcher import Remembers


class FakeCluster:
    """Ends one job per `wait`, as `ends` says; goes on where that says "busy", dies where it says "gone"."""

    def __init__(self, ends: Callable[[Order], Result | str | None], *, cpus: int = 2) -> None:
        self.ends, self.cpus = ends, cpus
        self.submitted: list[str] = []
        self.at_once = 0
        self._running: list[tuple[JobFolder, Order]] = []
        self._gone = False

    @contextlib.contextmanager
    def __call__(self, options: Options) -> Iterator["FakeCluster"]:
        self._gone, self._running = False, []
        yield self

    def look_again(self) -> None:
        pass

    def has_room(self, wish: Wish) -> bool:
        return len(self._running) + wish.cpus <= self.cpus

    def submit(self, folder: JobFolder, order: Order, wish: Wish) -> None:
        self.submitted.append(order.spec.id)
        self._running.append((folder, order))
        self.at_once = max(self.at_once, len(self._running))

    def wait(self, timeout_s: float) -> list[tuple[str, Result | None]]:
        folder, order = self._running.pop(0)
        end = self.ends(order)
        if end == "busy":
            self._running.append((folder, order))
            time.sleep(SHOW_S)
            return []
        if end == "gone":
            self._gone = True
            return []
        assert not isinstance(end, str)
        return [(order.spec.id, end)]

    def lost(self) -> bool:
        return self._gone


def ok(order: Order) -> Result:
    return Result(id=order.spec.id, attempt=1, status="ok")


def drive(runs: Path, jobs: list[Job], cluster: FakeCluster, **options: Any) -> tuple[list[Result], Remembers]:
    watcher = Remembers()
    with Interrupts() as interrupts:
        return Driver(jobs, Options(runs=runs, **options), watcher, interrupts).run(cluster), watcher


def some_jobs(count: int) -> list[Job]:
    return [job("ok", seed=seed) for seed in range(count)]


def test_results_come_in_the_order_of_the_jobs(tmp_path: Path) -> None:
    jobs = [job("ok", steps=steps) for steps in (1, 3, 2)]
    cluster = FakeCluster(ok)
    results, _ = drive(tmp_path, jobs, cluster)
    assert [result.id for result in results] == [found.id for found in jobs]
    assert cluster.submitted == [jobs[1].id, jobs[2].id, jobs[0].id]


def test_no_more_jobs_run_at_once_than_there_is_room_for_or_is_allowed(tmp_path: Path) -> None:
    roomy, capped = FakeCluster(ok, cpus=3), FakeCluster(ok, cpus=3)
    drive(tmp_path, some_jobs(6), roomy)
    drive(tmp_path, some_jobs(6), capped, max_jobs=2)
    assert (roomy.at_once, capped.at_once) == (3, 2)


def test_a_cluster_is_only_started_if_a_job_needs_one(tmp_path: Path) -> None:
    def never(options: Options) -> FakeCluster:
        raise AssertionError("a cluster was started")

    done = job("ok")
    Result(id=done.id, attempt=1, status="ok").save(JobFolder(tmp_path / done.id).result)
    with Interrupts() as interrupts:
        results = Driver([done], Options(runs=tmp_path), Remembers(), interrupts).run(never)  # type: ignore[arg-type]
    assert results[0].status == "ok"


def test_a_job_whose_supervisor_was_lost_is_handed_out_again(tmp_path: Path) -> None:
    losses = iter([None, None])
    cluster = FakeCluster(lambda order: next(losses, ok(order)))
    results, watcher = drive(tmp_path, some_jobs(1), cluster)
    assert (results[0].status, len(cluster.submitted)) == ("ok", 3)
    assert "its supervisor was lost" in watcher.notes[0]


def test_a_job_that_loses_every_supervisor_is_a_failed_row_in_the_end(tmp_path: Path) -> None:
    jobs = some_jobs(1)
    cluster = FakeCluster(lambda order: None)
    results, _ = drive(tmp_path, jobs, cluster)
    assert (results[0].failure, len(cluster.submitted)) == ("node_lost", retry.FRUITLESS + 1)
    assert Result.load(JobFolder(tmp_path / jobs[0].id).result).failure == "node_lost"


def test_a_lost_cluster_is_started_again_and_unfinished_jobs_go_on(tmp_path: Path) -> None:
    ends = iter([ok, lambda order: "gone"])
    cluster = FakeCluster(lambda order: next(ends, ok)(order))
    results, watcher = drive(tmp_path, some_jobs(3), cluster)
    assert [result.status for result in results] == ["ok"] * 3
    assert len(cluster.submitted) == 5
    assert "Ray was lost" in watcher.notes[0]


def test_a_cluster_that_is_lost_again_and_again_ends_the_command(tmp_path: Path) -> None:
    cluster = FakeCluster(lambda order: "gone", cpus=1)
    with pytest.raises(ClusterError, match="run the same command again"):
        drive(tmp_path, some_jobs(1), cluster)
    assert len(cluster.submitted) == RESTARTS + 1


def test_an_existing_cluster_that_is_lost_is_not_started_again(tmp_path: Path) -> None:
    cluster = FakeCluster(lambda order: "gone")
    with pytest.raises(ClusterError):
        drive(tmp_path, some_jobs(1), cluster, address="10.0.0.1:6379")
    assert len(cluster.submitted) == 1


def test_jobs_that_no_node_has_room_for_end_the_command_and_are_named(tmp_path: Path) -> None:
    jobs = some_jobs(1)
    with pytest.raises(ClusterError, match=rf"{jobs[0].id}\) finds no node .* run the same command again"):
        drive(tmp_path, jobs, FakeCluster(ok, cpus=0))


def test_an_existing_cluster_is_given_time_to_bring_a_node_back(tmp_path: Path) -> None:
    class Returns(FakeCluster):
        def look_again(self) -> None:
            looks.append(1)
            self.cpus = int(len(looks) > 1)

    looks: list[int] = []
    results, watcher = drive(tmp_path, some_jobs(1), Returns(ok), address="10.0.0.1:6379")
    assert results[0].status == "ok"
    assert "No node has room" in watcher.notes[0]


def test_an_existing_cluster_is_not_waited_for_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driver, "PATIENCE_S", 0.1)
    with pytest.raises(ClusterError, match="none of them can start"):
        drive(tmp_path, some_jobs(1), FakeCluster(ok, cpus=0), address="10.0.0.1:6379")


def test_jobs_below_an_upstream_job_that_another_stopped_end_the_command_and_are_named(tmp_path: Path) -> None:
    first = job("a")
    second = job("b", upstream=first.spec)
    third = job("c", upstream=second.spec)
    cluster = FakeCluster(lambda order: Result(id=order.spec.id, attempt=1, status="failed", failure="preempted"))
    with pytest.raises(ClusterError) as raised:
        drive(tmp_path, [first, second, third], cluster)
    assert f"({second.id}) needs job {first.id}, which was interrupted." in str(raised.value)
    assert f"({third.id}) needs job {second.id}, which is waiting too." in str(raised.value)
    assert cluster.submitted == [first.id]


def test_many_jobs_that_cannot_start_are_counted_and_some_are_named(tmp_path: Path) -> None:
    with pytest.raises(ClusterError, match=r"^7 jobs are left.* 2 more wait likewise\."):
        drive(tmp_path, some_jobs(7), FakeCluster(ok, cpus=0))


def test_an_interrupt_stops_the_queue_and_asks_running_jobs_to_drain(tmp_path: Path) -> None:
    def interrupted(order: Order) -> Result:
        if order.stop_asked() is None:
            os.kill(os.getpid(), signal.SIGINT)
            return ok(order)
        assert order.stop_asked() == "drain"
        return Result(id=order.spec.id, attempt=1, status="failed", failure="preempted")

    cluster = FakeCluster(interrupted)
    results, watcher = drive(tmp_path, some_jobs(4), cluster)
    assert [result.status for result in results].count("ok") == 1
    assert [result.failure for result in results].count("preempted") == 3
    assert len(cluster.submitted) == 2
    assert [state.state for state in watcher.last].count("interrupted") == 1


def test_a_second_interrupt_stops_running_jobs_at_once(tmp_path: Path) -> None:
    asked = []

    def interrupted(order: Order) -> Result | None:
        asked.append(order.stop_asked())
        os.kill(os.getpid(), signal.SIGTERM)
        return Result(id=order.spec.id, attempt=1, status="failed", failure="preempted")

    drive(tmp_path, some_jobs(5), FakeCluster(interrupted, cpus=3))
    assert asked == [None, "drain", "now"]


def test_a_request_to_stop_that_cannot_be_written_is_written_as_soon_as_it_can(tmp_path: Path) -> None:
    asked, full = [], tmp_path / ".stop.new"

    def on_a_full_disk(order: Order) -> Result | str:
        asked.append(order.stop_asked())
        if len(asked) == 1:
            full.symlink_to("/dev/full")
            os.kill(os.getpid(), signal.SIGTERM)
        if len(asked) == 3:
            full.unlink()
        return "busy" if len(asked) < 4 else Result(id=order.spec.id, attempt=1, status="failed", failure="preempted")

    _, watcher = drive(tmp_path, some_jobs(1), FakeCluster(on_a_full_disk))
    assert asked == [None, None, None, "drain"]
    assert watcher.notes[0] == f"Jobs cannot be told to stop yet: {tmp_path / '.stop'}: No space left on device."
    assert len(watcher.notes) == 2


def test_signals_are_given_back_after_the_command() -> None:
    before = signal.getsignal(signal.SIGINT)
    with Interrupts():
        assert signal.getsignal(signal.SIGINT) != before
    assert signal.getsignal(signal.SIGINT) == before


def test_a_stop_request_of_an_earlier_command_does_not_stop_this_one(tmp_path: Path) -> None:
    (tmp_path / ".stop").write_text("now")
    results, _ = drive(tmp_path, some_jobs(1), FakeCluster(ok))
    assert results[0].status == "ok"


def test_a_job_that_is_handed_out_again_does_not_show_what_its_last_attempt_said(tmp_path: Path) -> None:
    def begins(order: Order) -> None:
        attempt = JobFolder(tmp_path / order.spec.id).attempt(1)
        attempt.root.mkdir(parents=True, exist_ok=True)
        attempt.events.write_text('{"time": 1, "kind": "phase", "phase": "train"}\n')

    states = []

    class Watches(Remembers):
        def show(self, states_now: Sequence[JobState]) -> None:
            states.append((states_now[0].state, states_now[0].phase))

    ends = iter([begins, lambda order: "busy", ok])
    with Interrupts() as interrupts:
        Driver(some_jobs(1), Options(runs=tmp_path), Watches(), interrupts).run(
            FakeCluster(lambda order: next(ends)(order))
        )
    assert states == [("waiting", None), ("running", None), ("ok", None)]


def test_the_order_carries_the_options_and_the_plans_limits(tmp_path: Path) -> None:
    orders: list[Order] = []

    def remember(order: Order) -> Result:
        orders.append(order)
        return ok(order)

    wanted = job("ok")
    limited = Job(spec=wanted.spec, id=wanted.id, entry="fake", limits_s={"train": 7.0, "build": 5.0})
    options: dict[str, Any] = {"micro_batch": 4, "workers": 2, "data_root": tmp_path, "limits_s": {"build": 6.0}}
    drive(tmp_path / "runs", [limited], FakeCluster(remember), **options)
    assert (orders[0].micro_batch, orders[0].workers, orders[0].data_root) == (4, 2, str(tmp_path))
    assert (orders[0].limits()["train"], orders[0].limits()["build"]) == (7.0, 6.0)
    assert Order.from_dict(orders[0].to_dict()) == orders[0]
