"""A runtime that runs `fake_job.py` as a real child process, and specs and orders for it."""

import sys
from pathlib import Path
from typing import Any

from jobs.contract import JobFolder, JobSpec, Launch
from suite.planning.plan import Job
from suite.running.order import Order
from suite.running.runtimes.local import Local


class FakeJobs(Local):
    """The local runtime with another program in it."""

    def argv(self, folder: JobFolder, spec: JobSpec, launch: Launch, *, node: int = 0) -> list[str]:
        return [sys.executable, str(Path(__file__).with_name("fake_job.py")), str(folder.root)]


RUNTIME = FakeJobs()
NAME = "tests.suite.fake_runtime:RUNTIME"


def spec(*behaves: str, seed: int = 0, **fields: Any) -> JobSpec:
    """A spec whose attempts behave one after the other as told."""
    wanted: dict[str, Any] = {"task": "fake", "data": "none", "split": "default", "variant": "softmax"}
    wanted |= {"variant_arguments": {}, "arguments": {"behaves": list(behaves)}, "seed": seed}
    return JobSpec(**(wanted | {"steps": 3, "global_batch": 8} | fields))


def job(*behaves: str, upstream: JobSpec | None = None, **fields: Any) -> Job:
    """The same as a planned job."""
    upstream_id = upstream.id if upstream else None
    wanted = spec(*behaves, upstream=upstream_id, **fields)
    return Job(spec=wanted, id=wanted.id, entry="fake", upstream=upstream_id)


def order(wanted: JobSpec, **fields: Any) -> Order:
    """An order in a hurry."""
    return Order(spec=wanted, **({"runtime": NAME, "poll_s": 0.02, "pause_scale": 0.001, "grace_s": 0.3} | fields))
