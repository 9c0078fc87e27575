"""Processes that die, stall or are asked to stop: jobs, supervisors, the driver, Ray's daemons."""

import signal

from tests.faults.fault import Fault, kill
from tests.faults.scene import Scene, parent_of


class JobKilled(Fault):
    name = "SIGKILL of a job"

    def strike(self, scene: Scene) -> str | None:
        job = scene.job()
        return job.name if job and kill(job.pid) else None


class JobAsked(Fault):
    """A machine that is about to be taken away asks the job to stop, and nobody tells its supervisor."""

    name = "SIGTERM of a job"

    def strike(self, scene: Scene) -> str | None:
        job = scene.job()
        return job.name if job and kill(job.pid, signal.SIGTERM) else None


class JobFrozen(Fault):
    """A machine that stalls: nothing is lost, so nothing may be done about it."""

    name = "SIGSTOP of a job"
    lasts_s = 0.4
    pid = 0

    def strike(self, scene: Scene) -> str | None:
        job = scene.draw(scene.jobs())
        if job is None or not kill(job.pid, signal.SIGSTOP):
            return None
        self.pid = job.pid
        return job.name

    def mend(self, scene: Scene) -> None:
        kill(self.pid, signal.SIGCONT)


class SupervisorKilled(Fault):
    """The kernel takes the job along; another supervisor goes on from the checkpoint."""

    name = "SIGKILL of a supervisor"

    def strike(self, scene: Scene) -> str | None:
        job = scene.job()
        return job.name if job and kill(parent_of(job.pid)) else None


class SupervisorFrozen(Fault):
    """Nobody watches for a while; the job goes on by itself."""

    name = "SIGSTOP of a supervisor"
    lasts_s = 0.6
    pid: int | None = None

    def strike(self, scene: Scene) -> str | None:
        job = scene.draw(scene.jobs())
        self.pid = parent_of(job.pid) if job else None
        return job.name if job and kill(self.pid, signal.SIGSTOP) else None

    def mend(self, scene: Scene) -> None:
        kill(self.pid, signal.SIGCONT)


class DriverKilled(Fault):
    name = "SIGKILL of the driver"

    def strike(self, scene: Scene) -> str | None:
        return _strike_driver(scene, signal.SIGKILL)


class SupervisorCutOff(SupervisorFrozen):
    """Its driver is gone, the job is another's by the time it wakes up: what it has to say must not count."""

    name = "supervisor cut off from its driver"
    lasts_s = 12.0

    def strike(self, scene: Scene) -> str | None:
        name = super().strike(scene)
        if name and scene.driver is not None:
            scene.driver.kill()
        return name


class DriverPreempted(Fault):
    name = "SIGTERM of the driver"

    def strike(self, scene: Scene) -> str | None:
        return _strike_driver(scene, signal.SIGTERM)


class DriverFrozen(Fault):
    name = "SIGSTOP of the driver"
    lasts_s = 0.8

    def strike(self, scene: Scene) -> str | None:
        return _strike_driver(scene, signal.SIGSTOP)

    def mend(self, scene: Scene) -> None:
        if scene.driver is not None:
            scene.driver.send_signal(signal.SIGCONT)


class RayletKilled(Fault):
    name = "SIGKILL of the raylet"

    def strike(self, scene: Scene) -> str | None:
        pid = scene.daemon("raylet") if scene.jobs() else None
        return f"process {pid}" if kill(pid) else None


class HeadKilled(Fault):
    name = "SIGKILL of Ray's head (GCS)"

    def strike(self, scene: Scene) -> str | None:
        pid = scene.daemon("gcs_server") if scene.jobs() else None
        return f"process {pid}" if kill(pid) else None


def _strike_driver(scene: Scene, number: signal.Signals) -> str | None:
    """Only while jobs run: a driver that has not begun has nothing to lose."""
    if scene.driver is None or not scene.jobs():
        return None
    scene.driver.send_signal(number)
    return f"process {scene.driver.pid}"
