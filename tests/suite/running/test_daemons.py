"""A real Ray whose head is killed under a command."""

import subprocess
import sys
import textwrap

import pytest

from suite.errors import ClusterError
from suite.running.daemons import Daemons
from suite.running.runtimes.local import SOURCE_ROOT

BEGIN = """
import os, signal, sys, time
from pathlib import Path
import ray
from suite.running import daemons, scheduler
from suite.running.driver import Options
daemons.LET_GO_S = 1.0
def kill_the_head():
    for stat in Path("/proc").glob("[0-9]*/stat"):
        name, rest = stat.read_text().partition("(")[2].rsplit(")", 1)
        if name == "gcs_server" and int(rest.split()[1]) == os.getpid():
            os.kill(int(stat.parent.name), signal.SIGKILL)
with scheduler._ray(Options(runs=Path("."))) as cluster:
    cluster.look_again()
    kill_the_head()
    time.sleep(scheduler.LOOK_S)
"""


def ended(rest: str) -> "subprocess.CompletedProcess[str]":
    script = BEGIN + textwrap.indent(rest, "    ")
    return subprocess.run(
        [sys.executable, "-c", script], cwd=SOURCE_ROOT, capture_output=True, text=True, timeout=50, check=False
    )


@pytest.mark.slow
def test_without_its_head_ray_is_lost_and_the_command_asks_it_nothing_more() -> None:
    done = ended("cluster.look_again(); print('lost', cluster.lost()); os._exit(0)")
    assert (done.stdout, done.returncode) == ("lost True\n", 0), done.stderr


@pytest.mark.slow
def test_a_call_that_does_not_return_ends_the_command_with_one_message() -> None:
    done = ended("ray.nodes(); print('returned')")
    assert "Finished jobs are safe: run the same command again" in done.stderr
    assert (done.stdout, done.returncode) == ("", ClusterError.exit_code)


def test_a_process_that_ended_is_lost_and_no_process_is_not() -> None:
    sleeper = subprocess.Popen(["sleep", "60"])
    alive, none = Daemons([sleeper.pid]), Daemons()
    assert alive and not none
    assert not alive.lost() and not none.lost()
    sleeper.kill()
    sleeper.wait()
    assert alive.lost()
    gone = Daemons([sleeper.pid])
    assert gone.lost()
    alive.close()
    gone.close()


def test_what_ray_should_have_started_and_is_not_there_is_lost() -> None:
    nothing = Daemons.mine()
    assert nothing and nothing.lost()
    nothing.close()
