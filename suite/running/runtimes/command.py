"""What a job's Python is told, in every runtime: one process, a gang on one node, or a gang over several."""

from pathlib import Path

from jobs.contract import Launch


def words(job_dir: Path, launch: Launch, *, node: int = 0) -> list[str]:
    """What follows the interpreter on the job's `node`-th node; `job_dir` as the job sees it."""
    target = ["-m", "jobs", str(job_dir), f"--attempt={launch.attempt}"]
    if launch.processes == launch.nodes == 1:
        return target
    gang = [*_meeting(launch, node), f"--nproc-per-node={launch.processes}"]
    return ["-m", "torch.distributed.run", *gang, *target]


def _meeting(launch: Launch, node: int) -> list[str]:
    """How the launchers of a gang find each other."""
    if launch.nodes == 1:
        return ["--standalone", "--local-addr=127.0.0.1"]  # a name need not lead anywhere without a network
    host, _, port = (launch.rendezvous or "").rpartition(":")
    return [f"--nnodes={launch.nodes}", f"--node-rank={node}", f"--master-addr={host}", f"--master-port={port}"]
