"""A storm by hand: `python -m tests.faults --seed 7 --faults 100`; exit code 1 if a rule was broken."""

import argparse
import sys
import tempfile
from pathlib import Path

from tests.faults.faults import KINDS, PROCESSES
from tests.faults.storm import Storm


def main() -> int:
    """Let it rage and say what came of it."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--seed", type=int, default=0, help="what is drawn from")
    parser.add_argument("--faults", type=int, default=100, help="how many must strike")
    parser.add_argument("--kinds", nargs="+", choices=sorted(KINDS), help="only these [default: all but the folder's]")
    parser.add_argument("--folder", type=Path, help="an empty folder [default: a new one]")
    wanted = parser.parse_args()
    folder = wanted.folder or Path(tempfile.mkdtemp(prefix="storm-"))
    kinds = [KINDS[name] for name in wanted.kinds] if wanted.kinds else PROCESSES
    tally = Storm(folder / "runs", seed=wanted.seed, kinds=kinds, say=print).run(wanted.faults)
    print(*tally.problems, sep="\n")
    print(tally.sentence(), f"Files: {folder}")
    return 1 if tally.problems else 0


if __name__ == "__main__":
    sys.exit(main())
