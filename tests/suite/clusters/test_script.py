"""Batch scripts, whole: what SLURM gets for two sites, compared with what was looked at once."""

import os
import subprocess
from pathlib import Path

import pytest

from suite.clusters import script
from suite.clusters.script import Script
from suite.clusters.site import Node, Run, Site, Slurm
from suite.errors import UsageError
from suite.provenance import SOURCE_ROOT

GOLDEN = Path(__file__).parents[2] / "golden"
BUSY = Site(
    slurm=Slurm(
        partition="gpu", account="a-1", qos="high", constraint="a100|h100", nodes=4, gpus_per_node=8, gres="gpu:a100",
        cpus_per_node=64, memory="0", exclusive=True, options=["--comment=x"],
    ),
    node=Node(python="/opt/unsmooth/bin/python", setup=["module load cuda/13"], temp="/scratch", interface="ib0"),
    run=Run(runtime="apptainer"),
)  # fmt: skip
ARRAY = Site(slurm=Slurm(mode="array", time="4:00:00", at_once=20), node=Node(python="/opt/python"))


def asked(folder: str = "/home/me/my runs") -> Script:
    runs = Path(folder)
    command = ("run", "small", "--select", "graph*", "--runtime", "apptainer")
    return Script(plan="small", here=Path("/home/me"), runs=runs, command=command, orders=runs / "slurm/orders.jsonl")


@pytest.mark.parametrize(("name", "site"), [("ray", BUSY), ("array", ARRAY)])
def test_the_script_is_the_one_that_was_looked_at(name: str, site: Site) -> None:
    found = script.render(site, asked()).replace(str(SOURCE_ROOT), "/checkout")
    golden = GOLDEN / f"{name}.sbatch"
    if os.environ.get("UPDATE_GOLDEN"):
        golden.parent.mkdir(exist_ok=True)
        golden.write_text(found)
    assert found == golden.read_text()


@pytest.mark.parametrize("site", [BUSY, ARRAY, Site()])
def test_every_script_is_one_that_bash_can_read(site: Site, tmp_path: Path) -> None:
    path = tmp_path / "script"
    path.write_text(script.render(site, asked()))
    assert subprocess.run(["bash", "-n", path], capture_output=True, check=False).stderr == b""


def test_a_path_that_slurm_would_rewrite_is_refused() -> None:
    with pytest.raises(UsageError, match="holds a %"):
        script.render(Site(), asked("/home/100%/runs"))
