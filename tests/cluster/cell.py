"""Where hostile variants are run: one attempt each, in a container, with short limits."""

import dataclasses
from pathlib import Path

from jobs.contract import JobFolder, JobSpec, Result, file_sha256
from suite.running.order import Order
from suite.running.supervise import supervise
from tests.cluster.hostile import variant


@dataclasses.dataclass(frozen=True)
class Cell:
    """Runs hostile variants, each as the only attempt of a job."""

    root: Path
    spec: JobSpec
    runtime: str = "docker"

    def run(self, name: str, *, processes: int = 1, memory_bytes: int = 2**30, **filled: object) -> Result:
        file = self.root / "hostile.py"
        file.write_text(variant(name, **filled))
        wanted = dataclasses.replace(self.spec, variant="hostile", variant_sha256=file_sha256(file))
        data = self.root / "data"
        data.mkdir(exist_ok=True)
        order = Order(
            spec=wanted,
            runtime=self.runtime,
            processes=processes,
            variant_file=str(file),
            data_root=str(data),
            memory_bytes=memory_bytes,
            retries=0,
            grace_s=1.0,
            poll_s=0.1,
            limits_s={"start": 60.0, "build": 60.0, "train": 60.0, "evaluate": 60.0},
        )
        return supervise(self.folder(wanted), order)

    def folder(self, spec: JobSpec) -> JobFolder:
        return JobFolder(self.root / "runs" / spec.id)
