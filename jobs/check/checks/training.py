"""The real thing: a job of a few steps in each task, and one in two processes, started as the suite starts them."""

import shutil
import tempfile
from pathlib import Path

from jobs.check import nursery, tiny
from jobs.check.subject import Failed, NotApplicable, Subject
from jobs.contract import JobFolder, Launch, Result, read_events

_STEPS, _LIMIT_S = 4, 180.0
_CURVES_AGREE = 1e-4


def classification(subject: Subject) -> str:
    """A DeiT trains for a few steps and is tested."""
    return _trains(subject, "classification")


def graph(subject: Subject) -> str:
    """A graph network trains for a few steps and is tested."""
    return _trains(subject, "graph")


def language(subject: Subject) -> str:
    """A language model trains for a few steps and is tested."""
    return _trains(subject, "language")


def segmentation(subject: Subject) -> str:
    """A Segmenter trains for a few steps and is tested."""
    return _trains(subject, "segmentation")


def processes(subject: Subject) -> str:
    """Two processes train as one does, without looking for parameters that receive no gradient."""
    reasons = []
    for task in ("language", "classification", "graph"):
        try:
            alone, together = (_curve(subject, task, processes=count) for count in (1, 2))
        except NotApplicable as reason:
            reasons.append(reason)
            continue
        off = max(abs(one - two) / max(1.0, abs(one)) for one, two in zip(alone, together, strict=True))
        if off > _CURVES_AGREE:
            raise Failed(f"{task}: the losses of two processes differ from those of one by {off:.2g}")
        return f"{task}: losses agree within {off:.0e}"
    raise reasons[0]


def _trains(subject: Subject, task: str) -> str:
    losses = _curve(subject, task)
    return f"loss {losses[0]:.3g}, {losses[-1]:.3g} after {len(losses)} steps"


def _curve(subject: Subject, task: str, *, processes: int = 1) -> list[float]:
    """The training losses of a job.

    Raises:
        NotApplicable: the variant has no place in this task.
        Failed: the job ended otherwise than well.
    """
    with tempfile.TemporaryDirectory(prefix="unsmooth-check-") as root:
        folder = _folder(subject, task, Path(root), processes=processes)
        ended = nursery.run(folder, processes=processes, limit_s=_LIMIT_S)
        if ended.code is None:
            raise Failed(f"the job did not end within {_LIMIT_S:g} s")
        output = folder.attempt(1).output
        result = Result.load(output) if output.exists() else None
        if result is not None and result.status == "skipped":
            raise NotApplicable(result.reason or "the variant says so")
        if result is None or result.status != "ok":
            said = result.reason if result else (ended.said.strip().splitlines() or ["nothing"])[-1]
            raise Failed(f"{task}: the job ended with exit code {ended.code}: {said}")
        events = [event for _, event in read_events(folder.attempt(1).events)]
        return [event["values"]["train/loss"] for event in events if "train/loss" in event.get("values", {})]


def _folder(subject: Subject, task: str, root: Path, *, processes: int) -> JobFolder:
    folder, file = JobFolder(root), None
    if subject.file is not None:
        file = f"inputs/{subject.file.name}"
        (root / "inputs").mkdir()
        shutil.copy(subject.file, root / file)
    tiny.spec(task, subject.name, steps=_STEPS).save(folder.spec)
    Launch(attempt=1, processes=processes, variant_file=file).save(folder.attempt(1).launch)
    return folder
