"""One attempt at a language job by fairseq: binarise, train, score, and measure with the plain decoder.

The result is the one that the shared loop leaves: the same metrics, curve and profile, and a final.pt that the plain
decoder loads, for the parameter names are the same.
"""

from jobs.fairseq import compat  # isort: skip  # noqa: F401  # before anything of fairseq

import math
import shutil
from pathlib import Path
from typing import Any

from torch import nn

from jobs import registry
from jobs.contract import Result
from jobs.errors import JobError, NotFinite
from jobs.fairseq import arguments, binary, criteria, model, score  # noqa: F401  # registers the losses and the model
from jobs.fairseq.course import Course
from jobs.metrics import smoothness
from jobs.metrics.perplexity import perplexity
from jobs.tasks.language import Language
from jobs.training import checkpoint
from jobs.training.attempt import Run
from jobs.training.run import build, note_provenance, numbers, plug, variant_class

DATA = "fairseq-data"
"""Where in the job's folder the binary corpus lies while the job runs."""


def execute(run: Run) -> Result:
    """Do what the spec says.

    Raises:
        JobError: whatever ends a job early, by class.
    """
    spec, launch = run.spec, run.launch
    run.events.write("phase", phase="build")
    task = _task(run)
    digest = task.load(spec.data, spec.split, Path(launch.data_root) if launch.data_root else None, spec.seed)
    plain = build(task, plug(spec, variant_class(run)), spec.seed)
    data = run.folder.root / DATA
    if run.processes.leads:
        binary.write(task.corpus, data, digest)
    run.processes.any(False)  # everybody waits for the corpus
    note_provenance(run, task, digest)
    run.events.write("phase", phase="train")
    course = Course(run, task)
    course.train(data)
    run.events.write("phase", phase="evaluate")
    found = _numbers(course, plain, data) if run.processes.leads else {}
    run.processes.any(False)
    if run.processes.leads:
        shutil.rmtree(data)
    note_provenance(run, task, digest)
    bill = course.bill.total(task, plain, course.progress)  # operations are counted in the plain decoder
    return Result(id=spec.id, attempt=launch.attempt, status="ok", numbers=found, cost=bill)


def _task(run: Run) -> Language:
    task = registry.task(run.spec.task)(**run.spec.arguments)
    if not isinstance(task, Language):
        raise JobError(f"engine: fairseq trains the task language, not {run.spec.task}; use engine: ddp.")
    arguments.refuse(run.spec, task)
    task.global_batch = run.spec.global_batch
    return task


def _numbers(course: Course, plain: nn.Module, data: Path) -> dict[str, Any]:
    weights, task, step = course.weights(), course.task, course.progress.step
    document = checkpoint.load(weights)
    if document is None:
        raise JobError(f"checkpoints/{weights.name} is missing or damaged; delete checkpoints/ to train anew.")
    plain.load_state_dict(document["model"])
    checkpoint.save(course.run.folder.checkpoints / "final.pt", {"step": step, "model": plain.state_dict()})
    values = _test(course, data, weights)
    course.run.events.write("metrics", step=step, values={f"test/{name}": value for name, value in values.items()})
    rows = smoothness.profile(task, plain.to(course.run.processes.device))
    if not all(math.isfinite(row[name]) for row in rows for name in smoothness.METRICS):
        raise NotFinite(f"An over-smoothing metric is not finite after step {step}.")
    course.run.events.write("profile", step=step, rows=rows)
    return numbers(task, course.progress, values, rows)


def _test(course: Course, data: Path, weights: Path) -> dict[str, float]:
    """The task's metrics on the test part, by eval-lm."""
    tokens = course.task.corpus.tokens("test")

    def cost(overlap: int) -> float:
        wanted = arguments.scoring(course.task, data=data, weights=weights, part="test", overlap=overlap)
        return score.mean_cost(wanted, tokens=tokens, beat=lambda: course.beat("evaluate"))

    loss = cost(0)
    return {
        "perplexity": perplexity(loss),
        "loss": loss,
        "perplexity_sliding": perplexity(cost(course.task.context_window)),
    }
