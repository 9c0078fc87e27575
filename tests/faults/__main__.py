"""`python -m tests.faults --seed 7 --faults 100`: strike a run with random faults and say what they did to it."""

import argparse
import sys
import tempfile
from pathlib import Path

from tests.faults.storm import Storm


def main() -> int:
    """Exit code 0: nothing was lost, duplicated, changed or left behind."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--seed", type=int, default=7, help="the same seed deals the same faults")
    parser.add_argument("--faults", type=int, default=100, help="how many")
    parser.add_argument("--runs", type=Path, help="a new folder to work in, kept; a temporary one otherwise")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        storm = Storm(asked.runs or Path(temporary) / "runs", seed=asked.seed)
        findings = storm.blow(asked.faults)
        print(*findings.all, f"{storm.struck} faults, {findings}", sep="\n")
    return 1 if findings.all else 0


if __name__ == "__main__":
    sys.exit(main())
