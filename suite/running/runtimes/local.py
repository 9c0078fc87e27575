"""The `local` runtime: the job is a child process of its supervisor, on the interpreter its environment names."""

import os
import signal
from collections.abc import Mapping

from jobs.contract import JobFolder, JobSpec, Launch
from suite.running.runtimes import interpreters
from suite.running.runtimes.interpreters import SOURCE_ROOT
from suite.running.runtimes.process import Process, oom_kills

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
    """`python -m jobs JOB_DIR --attempt K`, through torchrun where the job has several processes."""

    def lacks(self, environment: str) -> str | None:
        return interpreters.lacks(environment)

    def argv(self, folder: JobFolder, launch: Launch) -> list[str]:
        python = interpreters.interpreter(launch.environment)
        target = ["-m", "jobs", str(folder.root.absolute()), f"--attempt={launch.attempt}"]
        if launch.processes == 1:
            return [python, *target]
        gang = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={launch.processes}"]
        return [python, *gang, *target]

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

    def stop(self, process: Process, *, now: bool) -> None:
        process.signal(signal.SIGKILL if now else signal.SIGTERM)

    def ran_out_of_memory(self, process: Process) -> bool:
        return oom_kills() > process.oom_kills_before


def scrubbed(environment: Mapping[str, str]) -> dict[str, str]:
    """`environment` without what a cluster, a launcher or Ray left in it: those would hijack the job's own launcher."""
    return {
        name: value
        for name, value in environment.items()
        if name not in _FOREIGN and not name.startswith(_FOREIGN_PREFIXES)
    }
