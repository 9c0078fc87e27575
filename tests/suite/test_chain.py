"""Segmentation after classification, as a plan runs it: what comes of a variant that diverges in the first."""

import json
from pathlib import Path

import pytest

from tests.suite.command import Command

PLAN = """
name: chain
tier: development
seeds: [0]
tasks:
  - task: classification
    data: digits
    arguments: {depth: 1, width: 8, heads: 2}
    steps: 2
    global_batch: 4
  - task: segmentation
    data: scenes
    arguments: {depth: 1, width: 8, heads: 2, decoder_depth: 1}
    steps: 2
    global_batch: 2
    upstream: classification
variants: [softmax]
"""

DIVERGES = '''
"""Diverges: every value is NaN."""

from torch import Tensor

from jobs.api import Smoothing, Variant


class Diverges(Variant):
    """A branch of NaN."""

    def mix(self, a: Smoothing, v: Tensor) -> Tensor:
        return a(v) * float("nan")
'''


@pytest.mark.heavy
def test_a_diverging_classifier_blocks_its_segmentation_and_no_other(tmp_path: Path) -> None:
    (tmp_path / "chain.yaml").write_text(PLAN)
    (tmp_path / "diverges.py").write_text(DIVERGES)
    unsmooth = Command(tmp_path, tmp_path / "cache")
    done = unsmooth("run", "chain.yaml", "--variant-file", "diverges.py", "--json")
    assert done.returncode == 1
    found = {}
    for path in (tmp_path / "runs").glob("*/result.json"):
        spec, result = (json.loads((path.parent / name).read_text()) for name in ("spec.json", "result.json"))
        found[spec["task"], spec["variant"]] = result
    told = {name: (result["status"], result["failure"]) for name, result in found.items()}
    assert told == {
        ("classification", "softmax"): ("ok", None),
        ("segmentation", "softmax"): ("ok", None),
        ("classification", "diverges"): ("failed", "nan"),
        ("segmentation", "diverges"): ("blocked", None),
    }
    assert "The training loss is nan at step 1 of 2." in found["classification", "diverges"]["reason"]
    assert found["classification", "diverges"]["id"] in found["segmentation", "diverges"]["reason"]
    assert found["segmentation", "diverges"]["advice"]
