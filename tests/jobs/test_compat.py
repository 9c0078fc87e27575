"""The repairs that let torchvision and mmcv-lite be imported."""

import importlib
import subprocess
import sys

import pytest

from jobs import compat
from tests.jobs.tiny import ROOT


def test_hooks_are_installed_once() -> None:
    before = list(sys.meta_path)
    compat.install()
    assert sys.meta_path == before


def test_importing_jobs_loads_nothing_heavy_and_torchvision_works_after_it() -> None:
    program = (
        "import sys, jobs; heavy = {'torch', 'numpy', 'torchvision'} & set(sys.modules); assert not heavy, heavy; "
        "import torchvision.ops; import torch; torch.ops.torchvision.nms"
    )
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True, timeout=120)


def test_an_operator_that_mmcv_lite_lacks_is_refused_when_called() -> None:
    operators = importlib.import_module("mmcv._ext")
    with pytest.raises(NotImplementedError, match="mmcv's operator 'roi_align_forward' is compiled code"):
        operators.roi_align_forward()
