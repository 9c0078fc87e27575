"""`unsmooth plan`: what a plan stands for and what it will take, before anything is spent."""

from suite.commands import matrix, options, output, preview
from suite.commands.preview import Machine
from suite.running.agenda import Redo


def plan(
    plan: options.PlanFile,
    *,
    runs: options.Runs = options.DEFAULT_RUNS,
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
    json: options.Json = False,
    verbose: options.Verbose = False,
) -> None:
    """Count a plan's jobs and estimate hours, wall-clock and disk; start nothing."""
    jobs = matrix.read(plan, variant_files=variant_file or (), select=select or (), exclude=exclude or (), seeds=seeds)
    machine = Machine.of(gpus_per_job=gpus, processes=processes, max_jobs=max_jobs, ray_address=None)
    redo = Redo(everything=force, failed=retry_failed, stale=rerun == "stale")
    machine.refuse_uneven(jobs)
    seen = preview.of(jobs, runs, redo, machine)
    if json:
        output.document(seen.to_dict())
        return
    seen.show()
    if verbose:
        left = {job.id for job in seen.outlook.left}
        rows = [(job.id, job.name, "left" if job.id in left else "done") for job in jobs.jobs]
        output.table(("job", "name", ""), rows)
