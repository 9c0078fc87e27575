"""Jobs on the smallest setting of each task (`jobs.check.tiny`), as files and as processes."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from jobs.check.tiny import HOSTS, SETTINGS, Setting, built, draws, gradients, loaded, spec
from jobs.contract import JobFolder, JobSpec, Launch, Result

__all__ = ["HOSTS", "SETTINGS", "Setting", "built", "draws", "gradients", "loaded", "spec"]

ROOT = Path(__file__).parents[2]


def place(folder: Path, job: JobSpec, **launch: Any) -> JobFolder:
    """Write the job's spec and its next launch into `folder`."""
    found = JobFolder(folder)
    job.save(found.spec)
    attempt = (found.attempts() or [0])[-1] + 1
    Launch(attempt=attempt, **launch).save(found.attempt(attempt).launch)
    return found


def start(folder: JobFolder, *, processes: int = 1, python: str = sys.executable) -> subprocess.Popen[str]:
    """Start the job in a child process, as the local runtime does."""
    several = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    command = [python, *(several if processes > 1 else []), "-m", "jobs", str(folder.root)]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        command, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
    )


def finish(folder: JobFolder, **options: Any) -> tuple[int, str, Result | None]:
    """Run the job to its end: exit code, log and result."""
    process = start(folder, **options)
    log, _ = process.communicate(timeout=300)
    output = folder.attempt(folder.attempts()[-1]).output
    return process.returncode, log, Result.load(output) if output.exists() else None


def wait_for(condition: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    """Return once `condition` holds; fail if the process ends first."""
    while not condition():
        assert process.poll() is None, f"The job ended too early: {process.communicate()[0]}"
        time.sleep(0.01)
