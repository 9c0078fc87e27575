"""The storm itself: the real scheduler, real processes, real kills."""

from pathlib import Path

import pytest

from tests.faults import pack
from tests.faults.storm import Storm

pytestmark = pytest.mark.cluster

FAULTS = 112


def test_a_hundred_random_faults_lose_duplicate_and_change_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    storm, said = Storm(tmp_path / "runs", seed=7), []
    findings = storm.blow(FAULTS, said.append)
    print(*said, sep="\n")
    with capsys.disabled():
        print(f"\n{storm.struck} faults, {findings}")
    assert findings.all == []
    assert storm.struck == FAULTS
    assert all(any(kind.name in line for line in said) for kind in pack.ALL)
