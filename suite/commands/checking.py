"""`unsmooth check`: whether a variant is what it says it is."""

from pathlib import Path
from typing import Annotated

import typer

from suite.checking import Examination, Finding
from suite.commands import options, output
from suite.errors import UsageError

_WIDTH = 18


def check(
    variant: Annotated[str, typer.Argument(metavar="NAME|FILE", help="A variant's name, or the file that defines it.")],
    *,
    quick: Annotated[bool, typer.Option("--quick", help="Only what takes seconds: no jobs, no compiler.")] = False,
    time_limit: Annotated[float, typer.Option("--time-limit", min=1, help="Seconds for all checks together.")] = 600.0,
    json: options.Json = False,
) -> None:
    """Examine a variant: formula, leaks, precision, random numbers, training in each task; exit code 1 if one fails."""
    if variant.endswith(".py") and not Path(variant).is_file():
        raise UsageError(f"{variant}: no such file. Give a variant's name, or the path of the file that defines it.")
    examination = Examination(variant, quick=quick, limit_s=time_limit)
    findings = []
    for finding in examination:
        findings.append(finding)
        if not json:
            output.say(f"{finding.status:5}{finding.check:{_WIDTH}}  {finding.reason}")
    if json:
        document = {"variant": variant, "network": examination.network, "findings": findings}
        output.document(document | {"passed": _passed(findings)})
    else:
        output.say(_summary(variant, findings, network=examination.network))
    if not _passed(findings):
        raise typer.Exit(1)


def _passed(findings: list[Finding]) -> bool:
    return all(finding.status != "fail" for finding in findings)


def _summary(variant: str, findings: list[Finding], *, network: bool) -> str:
    counts = {status: sum(finding.status == status for finding in findings) for status in ("pass", "fail", "n/a")}
    seconds = sum(finding.seconds for finding in findings)
    told = f"{counts['pass']} passed, {counts['fail']} failed, {counts['n/a']} not applicable in {seconds:.0f} s."
    return f"{variant}: {told}" + (" This system let it reach the network." if network else "")
