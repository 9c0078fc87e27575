"""`unsmooth plan`: what a plan stands for and what it will take, before anything is spent."""

import statistics
from pathlib import Path
from typing import Annotated

import typer

from suite.commands import matrix, options, output, preview
from suite.commands.preview import Machine, Preview
from suite.planning import pace
from suite.planning.labels import setting_label, variant_label
from suite.running import probing
from suite.running.agenda import Redo
from suite.running.probing import Effort, Probe, Prober
from suite.running.progress import duration

_PROBE = "Measuring"


def plan(
    plan: options.PlanFile,
    *,
    runs: options.Runs = options.DEFAULT_RUNS,
    data: options.DataRoot = None,
    select: options.Select = None,
    exclude: options.Exclude = None,
    seeds: options.Seeds = None,
    variant_file: options.VariantFiles = None,
    force: options.Force = False,
    retry_failed: options.RetryFailed = False,
    rerun: options.Rerun = None,
    max_jobs: options.MaxJobs = None,
    gpus: options.Gpus = None,
    processes: options.Processes = 1,
    workers: options.Workers = 0,
    micro_batch: options.MicroBatch = None,
    runtime: options.Runtime = "local",
    probe: Annotated[
        bool,
        typer.Option(
            "--probe", rich_help_panel=_PROBE, help="Run a few steps of each setting here, one after the other."
        ),
    ] = False,
    steps: Annotated[int, typer.Option("--steps", min=2, rich_help_panel=_PROBE, help="Steps of a probe.")] = 10,
    limit_s: Annotated[
        float,
        typer.Option("--probe-limit", min=1, rich_help_panel=_PROBE, help="Seconds for each phase of a probe."),
    ] = 300.0,
    each_variant: Annotated[
        bool,
        typer.Option("--each-variant", rich_help_panel=_PROBE, help="Probe each variant, not the baseline alone."),
    ] = False,
    json: options.Json = False,
    verbose: options.Verbose = False,
) -> None:
    """Count a plan's jobs and estimate hours, wall-clock, disk and memory; start nothing, but for --probe."""
    jobs = matrix.read(
        plan,
        variant_files=variant_file or (),
        select=select or (),
        exclude=exclude or (),
        seeds=seeds,
        runtime=runtime,
    )
    machine = Machine.of(
        gpus_per_job=gpus,
        processes=processes,
        workers=workers,
        micro_batch=micro_batch,
        max_jobs=max_jobs,
        runtime=runtime,
    )
    machine.refuse_uneven(jobs)
    redo = Redo(everything=force, failed=retry_failed, stale=rerun == "stale")
    seen, probes = preview.of(jobs, runs, redo, machine, data), []
    if probe:
        effort = Effort(steps=steps, limit_s=limit_s, each_variant=each_variant, data_root=data, runtime=runtime)
        probes = _probed(seen, runs, effort)
        seen = preview.of(jobs, runs, redo, machine, data)
    if json:
        output.document(seen.to_dict() | {"probes": probes})
        return
    seen.show()
    if failed := sum(found.pace is None for found in probes):
        settings = "1 setting" if failed == 1 else f"{failed} settings"
        output.say(f"{settings} could not be probed; unless time ran out, their jobs will fail for the same reason.")
    _show_entries(seen)
    if verbose:
        left = {job.id for job in seen.outlook.left}
        rows = [(job.id, job.name, "left" if job.id in left else "done") for job in jobs.jobs]
        output.table(("job", "name", ""), rows)


def _probed(seen: Preview, runs: Path, effort: Effort) -> list[Probe]:
    """Probe what is left, telling each as it is known, beside the output."""
    number = len(probing.chosen(seen.outlook.left, each_variant=effort.each_variant))
    limit = duration(effort.limit_s)
    probes = "1 probe" if number == 1 else f"{number} probes"
    output.warn(f"{probes} of {effort.steps} steps or more, at most {limit} for each phase of one:")
    tasks = seen.matrix.catalogue.tasks
    prober = Prober(
        runs=runs,
        setup=seen.machine.setup(),
        effort=effort,
        label=lambda job: f"{setting_label(job.spec, tasks[job.spec.task].label)} {variant_label(job.spec)}",
    )
    return prober.run(seen.outlook.left, lambda probe: output.warn(f"  {_sentence(probe)}"))


def _sentence(probe: Probe) -> str:
    """`graph karate depth=8 softmax: 0.012 s a step, 0.003 s a validation, 0.2 s of testing, 0.31 GB.`"""
    found = probe.pace
    if found is None:
        return f"{probe.name}: no probe: {probe.problem}"
    parts = [f"{found.step_s:.3g} s a step"]
    parts += [f"{found.validate_s:.3g} s a validation"] if found.validate_s else []
    parts += [f"{found.finish_s:.3g} s of testing"] if found.finish_s is not None else []
    parts += [f"{found.peak_bytes / 1e9:.2g} GB"] if found.peak_bytes else []
    known = " (remembered)" if probe.remembered else ""
    return f"{probe.name}: {', '.join(parts)}{known}. {probe.problem or ''}".rstrip()


def _show_entries(seen: Preview) -> None:
    """The matrix: one line for each entry of the plan."""
    rows = []
    left = {job.id for job in seen.outlook.left}
    for entry in seen.matrix.plan.entries:
        jobs = [job for job in seen.matrix.jobs if job.entry == entry.name]
        if not jobs:
            continue
        guesses = [seen.guesses[job.id] for job in jobs]
        settings = len({pace.place(job.spec) for job in jobs})
        each = duration(statistics.median(guess.seconds for guess in guesses))
        todo = sum(seen.guesses[job.id].seconds for job in jobs if job.id in left)
        origins = ", ".join(dict.fromkeys(guess.origin for guess in guesses))
        spec = jobs[0].spec
        rows.append(
            (
                entry.name,
                spec.task,
                spec.data,
                spec.engine,
                str(settings),
                str(len(jobs)),
                each,
                duration(todo),
                origins,
            )
        )
    columns = ("entry", "task", "data", "engine", "settings", "jobs", "a job", "left in all", "times are")
    output.table(columns, rows)
