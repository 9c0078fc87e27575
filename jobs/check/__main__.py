"""Examine one variant and print what was found: `python -m jobs.check NAME|FILE [--quick]`, one JSON object a line.

Each line is a finding {"check", "status": "pass" | "fail" | "n/a", "reason", "seconds"}; a problem with the variant's
file itself is one line {"problem"}. `unsmooth check` starts this in a process of its own.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from jobs.check import catalogue
from jobs.check.subject import Failed, NotApplicable, Subject, of_file, of_name
from jobs.errors import VariantError


def main(arguments: list[str]) -> None:
    """Print a line for each check as soon as it has ended; what the variant's code prints goes to standard error."""
    parser = argparse.ArgumentParser(prog="python -m jobs.check", description=__doc__.partition("\n")[0])
    parser.add_argument("variant", help="a variant's name, or a file that ends in .py")
    parser.add_argument("--quick", action="store_true", help="leave out what starts jobs, compiles or takes seconds")
    given = parser.parse_args(arguments)
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as said:
        os.dup2(2, 1)
        try:
            subject = of_file(Path(given.variant)) if given.variant.endswith(".py") else of_name(given.variant)
        except VariantError as error:
            print(json.dumps({"problem": str(error)}), file=said, flush=True)
            return
        for finding in findings(subject, quick=given.quick):
            print(json.dumps(finding), file=said, flush=True)


def findings(subject: Subject, *, quick: bool = False) -> Iterator[dict[str, Any]]:
    """What each check finds; whatever the variant's code raises fails the check it happened in."""
    for entry in catalogue.CHECKS:
        if quick and not entry.quick:
            continue
        began = time.monotonic()
        try:
            status, reason = "pass", entry.check(subject)
        except NotApplicable as error:
            status, reason = "n/a", str(error)
        except Failed as error:
            status, reason = "fail", str(error)
        except Exception as error:  # noqa: BLE001  # a contributor's code may raise anything
            status, reason = "fail", f"{type(error).__name__}: {error}"
        yield {"check": entry.name, "status": status, "reason": reason, "seconds": time.monotonic() - began}


if __name__ == "__main__":
    main(sys.argv[1:])
