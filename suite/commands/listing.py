"""`unsmooth list`: variants, tasks and data sets with their arguments and defaults."""

from collections.abc import Mapping

from suite.commands import options, output
from suite.planning import catalogue
from suite.planning.catalogue import Argument, Catalogue, Task
from suite.planning.labels import plain


def list_(
    *, variant_file: options.VariantFiles = None, json: options.Json = False, verbose: options.Verbose = False
) -> None:
    """Show variants, tasks and data sets with their arguments and defaults."""
    found = catalogue.load(variant_files=variant_file or ())
    if json:
        output.document({"variants": found.variants, "tasks": found.tasks, "broken": found.broken})
        return
    _show_variants(found, verbose=verbose)
    for task in found.tasks.values():
        _show_task(task)


def _show_variants(found: Catalogue, *, verbose: bool) -> None:
    rows = [
        (name, _given(variant.arguments) or "-", variant.summary, str(variant.source) if verbose else "")
        for name, variant in found.variants.items()
    ]
    output.table(("variant", "arguments", "what it does", "source" if verbose else ""), rows, title="Variants")
    for broken in found.broken.values():
        output.say(f"{broken.name} ({broken.source}) is broken: {broken.problem}")


def _show_task(task: Task) -> None:
    better = "higher" if task.metric["better"] == "higher" else "lower"
    unit = f" {task.metric['unit']}" if task.metric.get("unit") else ""
    title = f"\nTask {task.name}: {task.summary}"
    measure = f"{task.metric['name']}{unit}, {better} is better"
    rows = [
        ("measures", measure),
        ("by default", f"{task.steps} steps, global batch {task.global_batch}, data {task.default_data}"),
        ("arguments", _given(task.arguments)),
        *(("data", f"{name}: {data.summary}{_splits(data.splits)}") for name, data in task.data.items()),
    ]
    output.table(("", ""), rows, title=title)


def _splits(splits: tuple[str, ...]) -> str:
    return "" if splits == ("default",) else f" Splits: {', '.join(splits)}."


def _given(arguments: Mapping[str, Argument]) -> str:
    """`lam=0.6 (float), kind=mean (mean or max)`."""
    parts = []
    for name, argument in arguments.items():
        kind = " or ".join(map(str, argument.choices)) or argument.type
        parts.append(
            f"{name} ({kind}, required)" if argument.required else f"{name}={plain(argument.default)} ({kind})"
        )
    return ", ".join(parts)
