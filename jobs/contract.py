"""The job contract: what a job is told, what it leaves behind, and where each file lies.

Both planes read this module and nothing else of each other, so it uses the standard library only.

    runs/<id>/spec.json             JobSpec: identity, immutable; <id> is its hash
    runs/<id>/inputs/               copies made before the start: upstream.pt, the outside variant file
    runs/<id>/attempts/<k>/         launch.json (Launch), events.jsonl, log.txt, provenance.json, output.json (Result)
    runs/<id>/checkpoints/          step-<n>.pt, best-<n>.pt, final.pt, each with a .sha256 beside it
    runs/<id>/result.json           Result: the output of the attempt that counted
"""

import dataclasses
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Self

SCHEMA = 1
"""Version of every file below; a file of another version is refused, never guessed at."""

EXIT_PREEMPTED = 75
"""Exit code of a job that was asked to stop and has written a checkpoint (EX_TEMPFAIL)."""

STATUSES = ("ok", "skipped", "failed", "blocked")
FAILURES = (
    *("preempted", "node_lost", "killed", "image", "disk", "oom"),
    *("hang", "timeout", "nan", "variant_error", "data", "error"),
)
"""Failure classes, from "try again, free of charge" to "a finding"; `error` is everything unforeseen."""

ENGINES = ("ddp", "zero1", "zero2", "zero3", "fairseq")
"""Who trains: torch's DDP, DeepSpeed's ZeRO stages, or fairseq's own trainer; a task names those it can use."""

PHASES = ("start", "build", "train", "evaluate")
"""Phases a job passes through, in this order; each has its own time limit."""


class ContractError(ValueError):
    """A contract file is missing, malformed, of another version or has unknown fields."""


def canonical(document: Mapping[str, Any]) -> bytes:
    """UTF-8 JSON with sorted keys and no spaces: the form that is hashed."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def write_json(path: Path, document: Mapping[str, Any]) -> None:
    """Write `document` aside, flush it to disk, then rename it into place: readers see all of it or nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    with aside.open("w", encoding="utf-8") as file:
        json.dump(document, file, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False)
        file.write("\n")
        file.flush()
        os.fsync(file.fileno())
    aside.replace(path)


def read_json(path: Path) -> dict[str, Any]:
    """The JSON object in `path`.

    Raises:
        ContractError: the file is missing, is not JSON or holds something other than an object.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ContractError(f"{path}: no such file.") from error
    except ValueError as error:
        raise ContractError(f"{path}: not valid JSON ({error}).") from error
    if not isinstance(document, dict):
        raise ContractError(f"{path}: must hold one JSON object, got {type(document).__name__}.")
    return document


def file_sha256(path: Path) -> str:
    """Hexadecimal SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class _Document:
    """What the three frozen records share: strict reading and atomic writing."""

    schema: int

    def to_dict(self) -> dict[str, Any]:
        return dataclasses.asdict(self)  # type: ignore[call-overload]  # only dataclasses derive

    @classmethod
    def from_dict(cls, document: Mapping[str, Any], source: object = "document") -> Self:
        """Build the record, refusing another schema version, unknown fields and missing fields."""
        if document.get("schema") != SCHEMA:
            raise ContractError(f"{source}: schema {document.get('schema')!r}; this version reads schema {SCHEMA}.")
        fields = dataclasses.fields(cls)  # type: ignore[arg-type]
        unknown = sorted(set(document) - {field.name for field in fields})
        if unknown:
            raise ContractError(f"{source}: unknown fields {', '.join(unknown)}.")
        required = {field.name for field in fields if field.default is field.default_factory is dataclasses.MISSING}
        missing = sorted(required - set(document))
        if missing:
            raise ContractError(f"{source}: missing fields {', '.join(missing)}.")
        return cls(**document)

    def save(self, path: Path) -> None:
        write_json(path, self.to_dict())

    @classmethod
    def load(cls, path: Path) -> Self:
        return cls.from_dict(read_json(path), path)


@dataclasses.dataclass(frozen=True, kw_only=True)
class JobSpec(_Document):
    """One job, fully resolved: everything that decides its numbers, and nothing else."""

    task: str
    data: str
    split: str
    arguments: dict[str, Any]
    variant: str
    variant_arguments: dict[str, Any]
    variant_sha256: str | None = None  # of the source, if it comes from outside the repository
    seed: int
    steps: int
    global_batch: int
    precision: str = "float32"  # or "bfloat16" (autocast)
    threads: int = 1
    engine: str = "ddp"  # one of ENGINES: who averages gradients and updates weights
    compile: bool = False
    deterministic: bool = False  # torch's deterministic kernels, on pain of an error where there is none
    upstream: str | None = None  # id of the job whose checkpoint this one starts from
    schema: int = SCHEMA

    @property
    def id(self) -> str:
        """First 16 hex digits of the SHA-256 of the canonical JSON."""
        return hashlib.sha256(canonical(self.to_dict())).hexdigest()[:16]

    def to_dict(self) -> dict[str, Any]:
        """Every field; one that came later only where it says something, so that earlier ids and files stand."""
        document = super().to_dict()
        if not self.deterministic:
            del document["deterministic"]
        return document

    def setting(self) -> dict[str, Any]:
        """What a variant is compared under: the spec without variant, seed and upstream."""
        own = ("variant", "variant_arguments", "variant_sha256", "seed", "upstream")
        return {key: value for key, value in vars(self).items() if key not in own}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Launch(_Document):
    """How one attempt is started: what must not decide a number.

    But for what follows the split of a batch by its nature: the draws of dropout and drop-path, mixup and cutmix, batch
    normalisation, sampled clusters of a graph.
    """

    attempt: int
    runtime: str = "local"
    environment: str = "main"  # which Python environment ("main", "fairseq") or image ("graph") it runs in
    image: str | None = None  # digest of that image
    nodes: int = 1
    processes: int = 1  # per node
    rendezvous: str | None = None  # host:port of the first of several nodes
    network: str = "host"  # or "none": what the job could reach
    devices: list[int] = dataclasses.field(default_factory=list)  # GPU indices; empty means CPU
    micro_batch: int | None = None  # samples per forward pass and process; None: all at once
    workers: int = 0  # data-loading processes
    memory_bytes: int | None = None  # at most, on each node; None: no limit
    data_root: str | None = None  # as the job sees it
    data_source: str | None = None  # the same folder as its machine calls it, where that is another name
    variant_file: str | None = None  # relative to the job folder
    upstream_file: str | None = None  # relative to the job folder
    checkpoint_s: float = 30.0  # seconds between checkpoints
    limits_s: dict[str, float] = dataclasses.field(default_factory=dict)  # per phase, and "heartbeat"
    git: dict[str, Any] = dataclasses.field(default_factory=dict)  # sha, dirty
    schema: int = SCHEMA


@dataclasses.dataclass(frozen=True, kw_only=True)
class Result(_Document):
    """What an attempt leaves. `numbers` is the same however often the job was interrupted; `cost` is not."""

    id: str
    attempt: int
    status: str
    failure: str | None = None  # one of FAILURES
    reason: str | None = None  # why it was skipped, failed or blocked: one sentence
    advice: str | None = None  # what to do about it
    exit_code: int | None = None
    log_tail: list[str] = dataclasses.field(default_factory=list)
    # numbers: primary (a metric's name), metrics {name: {value, unit, better}}, steps_done,
    #          profile [{stack, layer, site, and jobs.metrics.smoothness}], curve [{step, name: value}]
    numbers: dict[str, Any] = dataclasses.field(default_factory=dict)
    # cost: wall_s, train_s, step_s, peak_bytes, parameters, processes, device
    cost: dict[str, Any] = dataclasses.field(default_factory=dict)
    schema: int = SCHEMA


@dataclasses.dataclass(frozen=True)
class JobFolder:
    """The paths of one job; see the module's first lines."""

    root: Path

    @property
    def spec(self) -> Path:
        return self.root / "spec.json"

    @property
    def inputs(self) -> Path:
        return self.root / "inputs"

    @property
    def checkpoints(self) -> Path:
        return self.root / "checkpoints"

    @property
    def result(self) -> Path:
        return self.root / "result.json"

    def attempts(self) -> list[int]:
        """Numbers of the attempts made so far, ascending; the last is the current one."""
        folder = self.root / "attempts"
        if not folder.is_dir():
            return []
        return sorted(int(entry.name) for entry in folder.iterdir() if entry.name.isdigit())

    def attempt(self, number: int) -> "AttemptFolder":
        return AttemptFolder(self.root / "attempts" / str(number))


@dataclasses.dataclass(frozen=True)
class AttemptFolder:
    """The paths of one attempt at a job."""

    root: Path

    @property
    def launch(self) -> Path:
        return self.root / "launch.json"

    @property
    def events(self) -> Path:
        return self.root / "events.jsonl"

    @property
    def log(self) -> Path:
        return self.root / "log.txt"

    def log_of(self, node: int) -> Path:
        """The log of a job's `node`-th node; `log` is the first one's."""
        return self.log if node == 0 else self.root / f"log-{node}.txt"

    @property
    def provenance(self) -> Path:
        return self.root / "provenance.json"

    @property
    def output(self) -> Path:
        return self.root / "output.json"


def _plain(path: str, flags: int) -> int:
    """Open a file that a job may have put anything in place of, without following a link or waiting for a pipe."""
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK)


def read_events(path: Path, offset: int = 0) -> Iterator[tuple[int, dict[str, Any]]]:
    """Events from byte `offset` on, each with the offset after it; an unfinished last line is left for later.

    Every event has `time` (Unix, s) and `kind`:
    phase {phase} · step {step, steps, loss} · metrics {step, values} · profile {step, rows} ·
    checkpoint {step} · resumed {step} · preempted {step} · failed {failure, reason}.
    A line that a crash cut short in the middle of the file is passed over.
    """
    if not path.exists():
        return
    with open(path, "rb", opener=_plain) as file:
        file.seek(offset)
        for line in file:
            if not line.endswith(b"\n"):
                return
            offset += len(line)
            try:
                yield offset, json.loads(line)
            except ValueError:
                continue
