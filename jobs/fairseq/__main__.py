"""fairseq's own commands with our plug-in: `python -m jobs.fairseq {preprocess,train,eval-lm,validate} ARGUMENTS`.

What fairseq-train and the others take, they take here; `--user-dir` points to the plug-in unless it is given:
`--arch unsmooth_lm --variant neutreno --variant-arguments '{"lam": 0.4}'` trains a variant outside of any job.
"""

from jobs.fairseq import compat  # isort: skip  # noqa: F401  # before fairseq, also in the processes that it spawns

import importlib
import sys
from pathlib import Path

COMMANDS = ("preprocess", "train", "eval-lm", "validate")
USER_DIR = Path(__file__).parent / "unsmooth_fairseq"


def main() -> None:
    """Run the command that the first argument names."""
    if len(sys.argv) < 2 or sys.argv[1] not in COMMANDS:
        sys.exit(f"usage: python -m jobs.fairseq {{{','.join(COMMANDS)}}} ARGUMENTS")
    name = sys.argv.pop(1)
    if "--user-dir" not in sys.argv:
        sys.argv += ["--user-dir", str(USER_DIR)]
    importlib.import_module(f"fairseq_cli.{name.replace('-', '_')}").cli_main()


if __name__ == "__main__":
    main()
