"""A server of which a test learns each request before it is made: to let others act then, or to die."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Experiment

from suite.recording.server import Server

REQUESTS = ("search", "create", "used", "keep", "end", "write", "hold", "tag", "untag", "delete")


class Meddled(Server):
    """Calls `before` with the name of each request."""

    def __init__(self, uri: str, runs: Path, before: Callable[[str], None]) -> None:
        super().__init__(uri, (runs / "mlruns").as_uri())
        self.before = before

    def __getattribute__(self, name: str) -> Any:
        found = super().__getattribute__(name)
        if name not in REQUESTS:
            return found

        def asked(*arguments: Any, **options: Any) -> Any:
            self.before(name)
            return found(*arguments, **options)

        return asked


class Once:
    """Does something before the first request of a kind, and nothing else."""

    def __init__(self, request: str, work: Callable[[], object]) -> None:
        self.request, self.work = request, work
        self.is_done = False

    def __call__(self, request: str) -> None:
        if request == self.request and not self.is_done:
            self.is_done = True
            self.work()


class Killed(BaseException):
    """What a SIGKILL is to the code that it strikes: nothing after it happens."""


class Countdown:
    """Dies instead of the n-th request."""

    def __init__(self, number: int) -> None:
        self.left = number

    def __call__(self, request: str) -> None:
        self.left -= 1
        if self.left == 0:
            raise Killed


class LateClient(MlflowClient):
    """Does not see an experiment that somebody has just made, the first time."""

    late = True

    def get_experiment_by_name(self, name: str) -> Experiment | None:
        if self.late:
            self.late = False
            return None
        return super().get_experiment_by_name(name)
