"""The `local` runtime: the job is a child process of its supervisor, on the interpreter its environment names."""

import os
import signal
from collections.abc import Mapping

from jobs.contract import AttemptFolder, JobFolder, JobSpec, Launch
from suite.running.runtimes import command, interpreters
from suite.running.runtimes.interpreters import SOURCE_ROOT
from suite.running.runtimes.process import Process, end_leftovers, oom_kills
from suite.running.runtimes.runtime import Ending

_FOREIGN_PREFIXES = (
    "SLURM_",
    "SBATCH_",
    "SRUN_",
    "PMI_",
    "PMIX_",
    "OMPI_",
    "MASTER_",
    "RAY_",
    "TORCHELASTIC_",
    "MLFLOW_",
    "UNSMOOTH_",
)
_FOREIGN = frozenset(
    f"{scope}{name}" for scope in ("", "LOCAL_", "GROUP_", "ROLE_", "NODE_") for name in ("RANK", "WORLD_SIZE")
)
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")


class Local:
    """A child process in its own process group; nothing keeps it from the network or from other files."""

    def needs(self, spec: JobSpec) -> str:
        return interpreters.environment(spec)

    def lacks(self, needed: str) -> str | None:
        return interpreters.lacks(needed)

    def digest(self, needed: str) -> str | None:
        return None

    def argv(self, folder: JobFolder, spec: JobSpec, launch: Launch, *, node: int = 0) -> list[str]:
        python = interpreters.interpreter(launch.environment)
        return [python, *command.words(folder.root.absolute(), launch, node=node)]

    def environment(self, spec: JobSpec, launch: Launch) -> dict[str, str]:
        return scrubbed(os.environ) | {
            **dict.fromkeys(_THREADS, str(spec.threads)),
            "CUDA_VISIBLE_DEVICES": ",".join(map(str, launch.devices)),
            "PYTHONHASHSEED": "0",
            "PYTHONUNBUFFERED": "1",
            "PYTHONFAULTHANDLER": "1",
            "PYTHONSAFEPATH": "1",  # the working folder is the job's, not a place to import from
            "PYTHONPATH": os.pathsep.join(filter(None, [str(SOURCE_ROOT), os.environ.get("PYTHONPATH")])),
        }

    def stop(self, attempt: AttemptFolder, process: Process, *, now: bool) -> None:
        process.signal(signal.SIGKILL if now else signal.SIGTERM)

    def ended(self, attempt: AttemptFolder, process: Process) -> Ending:
        end_leftovers(attempt)  # children that left the job's process group
        return Ending(out_of_memory=oom_kills() > process.oom_kills_before)

    def sweep(self, attempt: AttemptFolder) -> list[str]:
        return [f"process {pid}" for pid in end_leftovers(attempt)]


def scrubbed(environment: Mapping[str, str]) -> dict[str, str]:
    """`environment` without what a cluster, a launcher or Ray left in it: those would hijack the job's own launcher."""
    return {
        name: value
        for name, value in environment.items()
        if name not in _FOREIGN and not name.startswith(_FOREIGN_PREFIXES)
    }
