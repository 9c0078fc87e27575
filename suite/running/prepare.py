"""What must be in a job's folder before an attempt: its spec, its inputs, nothing of an earlier attempt still running.

What an earlier run left and a new one must not see is set aside into the folder of the attempt it belongs to.
"""

import json
import os
import re
import shutil
from pathlib import Path

from jobs.contract import AttemptFolder, ContractError, JobFolder, JobSpec, Launch, Result
from suite import provenance
from suite.errors import UnsmoothError
from suite.running.order import Order
from suite.running.runtimes import registry
from suite.running.runtimes.runtime import Runtime

_ASIDE = re.compile(r"\..+\.\d+")
"""What a file is called until it is complete: `.result.json.4711`, with the writer's process id."""


class PrepareError(UnsmoothError):
    """The folder cannot be made ready; nothing was started."""


def spec(folder: JobFolder, wanted: JobSpec) -> None:
    """Write spec.json, or make sure that what is there says the same.

    Raises:
        PrepareError: the folder belongs to another spec, or its spec.json cannot be read.
    """
    if not folder.spec.exists():
        wanted.save(folder.spec)
        return
    try:
        there = JobSpec.load(folder.spec)
    except ContractError as error:
        raise PrepareError(f"{error} Move the folder {folder.root} away and run the command again.") from error
    if there != wanted:
        raise PrepareError(
            f"{folder.spec} is the spec of job {there.id}, not of {wanted.id}."
            " A job's folder is named after its spec; move this one away and run the command again."
        )


def upstream(folder: JobFolder, order: Order) -> str | None:
    """Put the upstream job's final checkpoint into inputs/; its path relative to the job's folder."""
    if order.spec.upstream is None:
        return None
    if not re.fullmatch(r"[0-9a-f]{16}", order.spec.upstream):
        raise PrepareError(f"upstream {order.spec.upstream!r} is no job's id, which has 16 hexadecimal digits.")
    source = JobFolder(folder.root.with_name(order.spec.upstream)).checkpoints / "final.pt"
    _take(source, folder.inputs / "upstream.pt")
    return "inputs/upstream.pt"


def variant_file(folder: JobFolder, order: Order) -> str | None:
    """Put the outside variant file into inputs/; its path relative to the job's folder."""
    if order.variant_file is None:
        return None
    source = Path(order.variant_file)
    _take(source, folder.inputs / source.name, link=False)
    return f"inputs/{source.name}"


def fence(folder: JobFolder) -> None:
    """End whatever an earlier supervisor on this machine left running.

    Raises:
        PrepareError: a process would not go, so that two writers would share the folder.
    """
    for number in folder.attempts():
        attempt = folder.attempt(number)
        if ending_path(folder, number).exists():
            continue
        if left := _runtime(attempt).sweep(attempt):
            raise PrepareError(
                f"Of attempt {number} of job {folder.root.name} this cannot be ended: {', '.join(left)}."
                " End it or restart the machine, then run the command again."
            )


def _runtime(attempt: AttemptFolder) -> Runtime:
    """What the attempt was started with; where that cannot be read, it was not started."""
    try:
        return registry.find(Launch.load(attempt.launch).runtime)
    except ContractError:
        return registry.find("local")


def begin(
    folder: JobFolder, order: Order, *, devices: list[int], micro_batch: int | None, rendezvous: str | None = None
) -> Launch:
    """Make the next attempt's folder with its launch.json; from now on every earlier attempt is cut off."""
    number = max(folder.attempts(), default=0) + 1
    folder.attempt(number).root.mkdir(parents=True)
    runtime = registry.find(order.runtime)
    wanted = Launch(
        attempt=number,
        runtime=order.runtime,
        environment=runtime.needs(order.spec),
        nodes=order.nodes,
        processes=order.processes,
        rendezvous=rendezvous,
        devices=devices,
        micro_batch=micro_batch,
        workers=order.workers,
        data_root=order.data_root,
        checkpoint_s=order.checkpoint_s,
        limits_s=order.limits(),
        git=order.git,
        variant_file=variant_file(folder, order),
        upstream_file=upstream(folder, order),
        memory_bytes=order.memory_bytes,
    )
    launch = runtime.adapt(wanted)
    launch.save(folder.attempt(number).launch)
    provenance.note_data(folder.attempt(number), order.spec, order.data_root)
    return launch


def clear_half_written(folder: JobFolder) -> None:
    """Remove files that were written aside by a process that died before it could rename them."""
    attempts = [folder.attempt(number).root for number in folder.attempts()]
    for place in (folder.root, folder.inputs, folder.checkpoints, *attempts):
        for path in place.glob(".*.*"):
            if _ASIDE.fullmatch(path.name):
                path.unlink(missing_ok=True)


def note_ending(folder: JobFolder, result: Result) -> None:
    """Keep how an attempt ended; not flushed to disk, for after a crash of the machine nothing depends on it."""
    text = json.dumps(result.to_dict(), indent=1, sort_keys=True, ensure_ascii=False)
    ending_path(folder, result.attempt).write_text(text + "\n", encoding="utf-8")


def ending_path(folder: JobFolder, attempt: int) -> Path:
    """Where the supervisor notes how an attempt ended, also one that was tried again."""
    return folder.attempt(attempt).root / "ending.json"


def set_aside(folder: JobFolder, *, checkpoints: bool) -> None:
    """Move the result, and `checkpoints` and inputs if the job is to start afresh, into the newest attempt's folder.

    The result set aside first is the attempt's own; one published after it had no process, and is dropped.
    """
    attempts = folder.attempts()
    if not attempts:
        folder.result.unlink(missing_ok=True)
        return
    if checkpoints:
        fence(folder)
    newest = folder.attempt(attempts[-1]).root
    if (newest / folder.result.name).exists():
        folder.result.unlink(missing_ok=True)
    for path in [folder.result, *([folder.checkpoints, folder.inputs] if checkpoints else [])]:
        if path.exists():
            path.replace(newest / path.name)


def _take(source: Path, target: Path, *, link: bool = True) -> None:
    """A hard link where the file system allows one, otherwise a copy; complete or not there at all."""
    target.parent.mkdir(exist_ok=True)
    aside = target.with_name(f".{target.name}.{os.getpid()}")
    aside.unlink(missing_ok=True)
    try:
        _link_or_copy(source, aside, link=link)
    except FileNotFoundError as error:
        raise PrepareError(f"{source} is gone; the job cannot start without it.") from error
    aside.replace(target)


def _link_or_copy(source: Path, target: Path, *, link: bool) -> None:
    if link:
        try:
            os.link(source, target)
        except FileNotFoundError:
            raise
        except OSError:  # another file system, or one without hard links
            shutil.copyfile(source, target)
    else:
        shutil.copyfile(source, target)
