"""A job's process: its environment, its log, and that it never outlives its supervisor."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from jobs.contract import ENGINES, JobFolder, Launch, Result
from suite.errors import UsageError
from suite.running import prepare
from suite.running.runtimes import interpreters, process, registry
from suite.running.runtimes.local import SOURCE_ROOT, Local
from suite.running.runtimes.process import Process
from suite.running.runtimes.variables import scrubbed
from suite.running.supervise import supervise
from tests.suite.fake_runtime import order, spec

SPEC = spec("ok")
LAUNCH = Launch(attempt=1)


def start(folder: JobFolder, *command: str) -> Process:
    folder.attempt(1).root.mkdir(parents=True)
    return Process.start(
        [sys.executable, *command], environment=dict(os.environ), attempt=folder.attempt(1), cwd=folder.root
    )


def gone(pid: int) -> bool:
    """Whether a process has ended, waiting for it a little."""
    for _ in range(100):
        if not Path(f"/proc/{pid}").exists() or "Z" in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2][:3]:
            return True
        time.sleep(0.02)
    return False


def test_one_process_is_the_jobs_module_itself(tmp_path: Path) -> None:
    assert Local().argv(JobFolder(tmp_path), SPEC, LAUNCH) == [
        sys.executable,
        "-m",
        "jobs",
        str(tmp_path),
        "--attempt=1",
    ]


def test_several_processes_go_through_torchrun(tmp_path: Path) -> None:
    argv = Local().argv(JobFolder(tmp_path), SPEC, Launch(attempt=1, processes=2))
    expected = [
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--local-addr=127.0.0.1",
        "--nproc-per-node=2",
        "-m",
        "jobs",
        str(tmp_path),
        "--attempt=1",
    ]
    assert argv == [sys.executable, *expected]


@pytest.mark.parametrize("processes", [1, 2])
def test_an_environment_apart_has_its_own_interpreter_and_all_else_is_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, processes: int
) -> None:
    monkeypatch.setenv("UNSMOOTH_FAIRSEQ_PYTHON", "/opt/fairseq/bin/python")
    main, fairseq = (
        Local().argv(JobFolder(tmp_path), SPEC, Launch(attempt=1, processes=processes, environment=environment))
        for environment in ("main", "fairseq")
    )
    assert (main[0], fairseq[0]) == (sys.executable, "/opt/fairseq/bin/python")
    assert main[1:] == fairseq[1:]


@pytest.mark.parametrize("engine", ENGINES)
def test_every_engine_is_started_by_torchrun_as_often_as_there_are_processes(tmp_path: Path, engine: str) -> None:
    wanted = order(spec("ok", engine=engine), processes=2)
    launch = prepare.begin(JobFolder(tmp_path), wanted, devices=[], micro_batch=None)
    python, *rest = Local().argv(JobFolder(tmp_path), SPEC, launch)
    assert rest[:5] == ["-m", "torch.distributed.run", "--standalone", "--local-addr=127.0.0.1", "--nproc-per-node=2"]
    assert python == interpreters.interpreter("fairseq" if engine == "fairseq" else "main")


def test_an_environment_is_looked_for_in_the_checkout_unless_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("UNSMOOTH_FAIRSEQ_PYTHON", raising=False)
    assert interpreters.interpreter("fairseq") == str(SOURCE_ROOT / ".venv-fairseq/bin/python")
    monkeypatch.setenv("UNSMOOTH_FAIRSEQ_PYTHON", sys.executable)
    assert Local().lacks("fairseq") is None
    assert Local().lacks("main") is None


def test_what_is_missing_is_said_with_the_command_that_builds_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for there in (tmp_path / "none", tmp_path):  # a folder is executable and no interpreter
        monkeypatch.setenv("UNSMOOTH_FAIRSEQ_PYTHON", str(there))
        assert Local().lacks("fairseq") == (
            f"The fairseq environment is missing: there is no interpreter {there}."
            " Build it with `make fairseq`, or name one in UNSMOOTH_FAIRSEQ_PYTHON."
        )


def test_a_job_runs_on_the_interpreter_of_its_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\necho "apart: $@"\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    monkeypatch.setenv("UNSMOOTH_FAIRSEQ_PYTHON", str(python))
    wanted = spec("none", task="no-such-task", engine="fairseq")
    folder = JobFolder(tmp_path / wanted.id)
    result = supervise(folder, order(wanted, runtime="local", retries=0))
    assert "run `make fairseq`" in (result.reason or ""), "the interpreter of that name has no fairseq"
    assert folder.attempt(1).log.read_text().startswith(f"apart: -m jobs {folder.root} --attempt=1\n")
    assert Launch.load(folder.attempt(1).launch).environment == "fairseq"


def test_what_a_cluster_or_launcher_left_in_the_environment_does_not_reach_the_job() -> None:
    foreign = ["SLURM_JOB_ID", "RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "RAY_ADDRESS", "PMIX_RANK"]
    kept = ["HOME", "PATH", "NCCL_DEBUG", "FRANKLIN"]
    assert list(scrubbed(dict.fromkeys([*foreign, *kept], "x"))) == kept


def test_threads_devices_and_hash_seed_are_set_for_the_job() -> None:
    environment = Local().environment(spec("ok", threads=3), Launch(attempt=1, devices=[2, 5]))
    assert {environment[name] for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS")} == {"3"}
    assert (environment["CUDA_VISIBLE_DEVICES"], environment["PYTHONHASHSEED"]) == ("2,5", "0")


def test_a_job_sees_its_own_folder_no_gpu_and_no_launcher(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "7")
    wanted = spec("tells_environment")
    numbers = supervise(JobFolder(tmp_path / wanted.id), order(wanted)).numbers
    assert numbers["cwd"] == str(tmp_path / wanted.id)
    assert numbers["cwd"] not in numbers["path"]
    assert str(SOURCE_ROOT) in numbers["path"]
    assert "RANK" not in numbers["environment"]
    assert numbers["environment"]["CUDA_VISIBLE_DEVICES"] == ""


def test_output_goes_to_the_log_and_the_exit_code_comes_back(tmp_path: Path) -> None:
    folder = JobFolder(tmp_path)
    running = start(folder, "-c", "import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)")
    assert running.finish() == 3
    assert sorted(folder.attempt(1).log.read_text().split()) == ["err", "out"]


def test_a_command_that_does_not_exist_says_so_in_the_log(tmp_path: Path) -> None:
    folder = JobFolder(tmp_path)
    folder.attempt(1).root.mkdir(parents=True)
    running = Process.start(["/no/such/program"], environment={}, attempt=folder.attempt(1), cwd=tmp_path)
    assert running.finish() == 1
    assert folder.attempt(1).log.read_text() == "/no/such/program cannot be started: No such file or directory.\n"


def test_finishing_ends_descendants_that_outlive_the_command(tmp_path: Path) -> None:
    code = "import subprocess; print(subprocess.Popen(['sleep', '600']).pid, flush=True)"
    running = start(JobFolder(tmp_path), "-c", code)
    running.finish()
    assert gone(int(JobFolder(tmp_path).attempt(1).log.read_text()))


def test_a_job_dies_with_its_supervisor_however_that_dies(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from jobs.contract import JobFolder;"
        "from tests.suite.fake_runtime import order, spec; from suite.running.supervise import supervise;"
        "wanted = spec('deaf'); supervise(JobFolder(Path(sys.argv[1])), order(wanted))"
    )
    supervisor = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], cwd=SOURCE_ROOT)
    attempt = JobFolder(tmp_path).attempt(1)
    pid = _pid_once_running(attempt.root)
    assert process.noted_process(attempt) == pid
    supervisor.kill()
    supervisor.wait()
    assert gone(pid)
    assert process.noted_process(attempt) is None


def test_a_later_supervisor_ends_what_an_earlier_one_left_behind(tmp_path: Path) -> None:
    folder = JobFolder(tmp_path)
    folder.attempt(1).root.mkdir(parents=True)
    orphan = subprocess.Popen(["sleep", "600"], env={process.MARK: str(folder.attempt(1).root)}, start_new_session=True)
    bystander = subprocess.Popen(["sleep", "600"], env={process.MARK: str(folder.attempt(1).root) + "1"})
    prepare.fence(folder)
    assert orphan.wait(timeout=5) == -signal.SIGKILL
    assert bystander.poll() is None
    bystander.kill()
    bystander.wait()


def test_a_process_id_that_was_used_again_is_not_taken_for_the_job(tmp_path: Path) -> None:
    folder = JobFolder(tmp_path)
    running = start(folder, "-c", "pass")
    running.finish()
    noted = (folder.attempt(1).root / "process.json").read_text()
    reused = noted.replace(f'"pid": {running.pid}', f'"pid": {os.getpid()}')
    (folder.attempt(1).root / "process.json").write_text(reused)
    assert reused != noted
    assert process.noted_process(folder.attempt(1)) is None


def test_a_runtime_written_elsewhere_is_found_by_module_and_attribute() -> None:
    assert isinstance(registry.find("tests.suite.fake_runtime:RUNTIME"), Local)
    with pytest.raises(UsageError, match=r"Runtime .tests\.nowhere:X. cannot be imported"):
        registry.find("tests.nowhere:X")


def test_the_real_job_program_runs_from_any_folder(tmp_path: Path) -> None:
    wanted = spec("none", task="no-such-task")
    result: Result = supervise(JobFolder(tmp_path / wanted.id), order(wanted, runtime="local", retries=0))
    assert (result.status, result.exit_code) == ("failed", 1)
    assert "no-such-task" in (result.reason or "")


def _pid_once_running(attempt: Path) -> int:
    for _ in range(500):
        if (attempt / "events.jsonl").exists():
            return int(process.read_json(attempt / "process.json")["pid"])
        time.sleep(0.02)
    raise AssertionError("the job did not start")
