"""The environment variables that every runtime sets for a job, and those that none lets through."""

from collections.abc import Mapping

from jobs.contract import JobSpec

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


def of_job(spec: JobSpec, *, devices: str) -> dict[str, str]:
    """What a job is started with wherever it runs; `devices` as CUDA shall number those that it sees."""
    return {
        **dict.fromkeys(_THREADS, str(spec.threads)),
        "CUDA_VISIBLE_DEVICES": devices,
        "PYTHONHASHSEED": "0",
        "PYTHONUNBUFFERED": "1",
        "PYTHONFAULTHANDLER": "1",
        "PYTHONSAFEPATH": "1",  # the working folder is the job's, not a place to import from
    }


def scrubbed(environment: Mapping[str, str]) -> dict[str, str]:
    """`environment` without what a cluster, a launcher or Ray left in it: those would hijack the job's own launcher."""
    return {
        name: value
        for name, value in environment.items()
        if name not in _FOREIGN and not name.startswith(_FOREIGN_PREFIXES)
    }
