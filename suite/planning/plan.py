"""A plan and the jobs it stands for: pure, without torch, 10,000 jobs in under a second."""

import dataclasses
import itertools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from jobs.contract import JobSpec
from suite.errors import UsageError, unknown
from suite.planning.catalogue import Argument, Catalogue
from suite.planning.labels import plain, setting_label, variant_label
from suite.planning.selection import Subject, parse


@dataclasses.dataclass(frozen=True, kw_only=True)
class Entry:
    """One item under `tasks` of a plan; None stands for the task's default."""

    name: str
    task: str
    data: str | None = None
    split: str | tuple[str, ...] | None = None  # several are a grid
    arguments: Mapping[str, Any] = dataclasses.field(default_factory=dict)  # a list is a grid
    steps: int | None = None
    global_batch: int | None = None
    precision: str = "float32"
    threads: int = 1
    engine: str = "ddp"
    compile: bool = False
    deterministic: bool = False
    upstream: str | None = None  # name of another entry
    limits_s: Mapping[str, float] = dataclasses.field(default_factory=dict)
    gpus: int | None = None  # per node; None: what the command says
    nodes: int | None = None

    @property
    def splits(self) -> tuple[str | None, ...]:
        """One by one; None stands for the data set's default."""
        return self.split if isinstance(self.split, tuple) else (self.split,)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Choice:
    """One item under `variants` of a plan."""

    name: str
    arguments: Mapping[str, Any] = dataclasses.field(default_factory=dict)  # a list is a grid
    per_task: Mapping[str, Mapping[str, Any]] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Plan:
    """A matrix of entries, variants and seeds."""

    name: str
    tier: str  # "development" (shown, never ranked) or "ranked"
    seeds: tuple[int, ...]
    entries: tuple[Entry, ...]
    variants: tuple[Choice, ...]
    source: str = "plan"  # where it was read, for messages


@dataclasses.dataclass(frozen=True, kw_only=True)
class Job:
    """One spec together with what the scheduler must know but what does not decide a number."""

    spec: JobSpec
    id: str
    entry: str  # name of the plan's entry it comes from
    upstream: str | None = None  # id of the job whose checkpoint it starts from
    broken: str | None = None  # why its outside variant file cannot be used: one sentence
    limits_s: Mapping[str, float] = dataclasses.field(default_factory=dict)  # per phase
    variant_file: Path | None = None  # the outside file, where the variant comes from one
    gpus: int | None = None  # per node; None: what the command says
    nodes: int | None = None

    def devices(self, *, gpus: int, processes: int, nodes: int = 1) -> tuple[int, int]:
        """GPUs, or else CPU processes, on all its nodes together; what it does not say itself is as given, per node."""
        own = gpus if self.gpus is None else self.gpus
        count = self.nodes or nodes
        return own * count, 0 if own else processes * count

    @property
    def name(self) -> str:
        """How people call it: `graph-deep/karate/neutreno[lam=0.6]/seed 0`."""
        return f"{self.entry}/{self.spec.data}/{variant_label(self.spec)}/seed {self.spec.seed}"


def grid(given: Mapping[str, Any], known: Mapping[str, Argument]) -> list[dict[str, Any]]:
    """Every combination of the listed values over the defaults."""
    alternatives = {name: values(value, known.get(name)) for name, value in given.items()}
    defaults = {name: argument.default for name, argument in known.items() if not argument.required}
    return [
        {**defaults, **dict(zip(alternatives, point, strict=True))}
        for point in itertools.product(*alternatives.values())
    ]


def values(value: Any, argument: Argument | None) -> list[Any]:
    """The alternatives that one value stands for, in the argument's own type; a list argument takes a list of lists."""
    kind = argument.type if argument else ""
    is_list = kind.startswith(("list", "tuple", "Sequence"))
    is_grid = isinstance(value, list) and (not is_list or (bool(value) and all(isinstance(v, list) for v in value)))
    alternatives = value if is_grid else [value]
    # 1 and 1.0 are the same number and must not give two ids.
    return [float(v) if "float" in kind and type(v) is int else v for v in alternatives]


def task_grid(entry: Entry, catalogue: Catalogue) -> list[dict[str, Any]]:
    """The argument sets of an entry."""
    return grid(entry.arguments, catalogue.tasks[entry.task].arguments)


def variant_grid(choice: Choice, task: str, catalogue: Catalogue) -> list[dict[str, Any]]:
    """The argument sets of a variant in one task; those of a broken file are taken as they stand."""
    variant = catalogue.variants.get(choice.name)
    return grid({**choice.arguments, **choice.per_task.get(task, {})}, variant.arguments if variant else {})


def with_outside_variants(plan: Plan, catalogue: Catalogue) -> Plan:
    """Add the variants that were given by path and that the plan does not name, with their own defaults."""
    usable = [name for name, variant in catalogue.variants.items() if variant.source in catalogue.variant_files]
    named = {choice.name for choice in plan.variants}
    added = tuple(Choice(name=name) for name in [*usable, *catalogue.broken] if name not in named)
    return dataclasses.replace(plan, variants=plan.variants + added)


def expand(
    plan: Plan,
    catalogue: Catalogue,
    *,
    seeds: Sequence[int] | None = None,
    select: Sequence[str] = (),
    exclude: Sequence[str] = (),
) -> list[Job]:
    """The jobs of a plan, each after the one it starts from.

    Raises:
        UsageError: a pattern matches nothing, two jobs are the same one, or an upstream is missing or ambiguous.
    """
    jobs = _Expansion(plan, catalogue, tuple(seeds or plan.seeds)).jobs()
    _refuse_duplicates(plan, jobs)
    return _selected(jobs, catalogue, select, exclude)


def ordered(entries: Sequence[Entry]) -> list[Entry]:
    """Entries in the plan's order, except that an upstream comes before what needs it.

    Raises:
        UsageError: entries wait for each other in a circle.
    """
    waiting = list(entries)
    done: dict[str, Entry] = {}
    while waiting:
        ready = [entry for entry in waiting if entry.upstream is None or entry.upstream in done]
        if not ready:
            circle = ", ".join(entry.name for entry in waiting)
            raise UsageError(f"The entries {circle} can never start: each waits for an upstream among them.")
        done[ready[0].name] = ready[0]
        waiting.remove(ready[0])
    return list(done.values())


class _Expansion:
    """One pass over the matrix, remembering the jobs by entry so that dependants find theirs."""

    def __init__(self, plan: Plan, catalogue: Catalogue, seeds: tuple[int, ...]) -> None:
        self.plan = plan
        self.catalogue = catalogue
        self.seeds = seeds
        self.made: dict[tuple[str, int, int], list[Job]] = {}  # by entry, index of the variant, seed

    def jobs(self) -> list[Job]:
        return [job for entry in ordered(self.plan.entries) for job in self._of_entry(entry)]

    def _of_entry(self, entry: Entry) -> Iterator[Job]:
        for split, arguments in itertools.product(entry.splits, task_grid(entry, self.catalogue)):
            for index, choice in enumerate(self.plan.variants):
                for variant_arguments in variant_grid(choice, entry.task, self.catalogue):
                    for seed in self.seeds:
                        upstream = self._upstream(entry, arguments, variant_arguments, (index, seed))
                        job = self._job(entry, arguments, choice, variant_arguments, (split, seed, upstream))
                        self.made.setdefault((entry.name, index, seed), []).append(job)
                        yield job

    def _job(
        self,
        entry: Entry,
        arguments: dict[str, Any],
        choice: Choice,
        variant_arguments: dict[str, Any],
        rest: tuple[str | None, int, str | None],
    ) -> Job:
        task = self.catalogue.tasks[entry.task]
        data = entry.data or task.default_data
        variant, broken = self.catalogue.variants.get(choice.name), self.catalogue.broken.get(choice.name)
        outside = broken or (variant if variant and not variant.builtin else None)
        split, seed, upstream = rest
        spec = JobSpec(
            task=entry.task,
            data=data,
            split=split or task.data[data].default_split,
            arguments=arguments,
            variant=choice.name,
            variant_arguments=variant_arguments,
            variant_sha256=outside.sha256 if outside else None,
            seed=seed,
            steps=entry.steps or task.steps,
            global_batch=entry.global_batch or task.global_batch,
            precision=entry.precision,
            threads=entry.threads,
            engine=entry.engine,
            compile=entry.compile,
            deterministic=entry.deterministic,
            upstream=upstream,
        )
        return Job(
            spec=spec,
            id=spec.id,
            entry=entry.name,
            upstream=upstream,
            broken=broken.problem if broken else None,
            limits_s=entry.limits_s,
            gpus=entry.gpus,
            nodes=entry.nodes,
            variant_file=outside.source if outside else None,
        )

    def _upstream(
        self, entry: Entry, arguments: dict[str, Any], variant_arguments: dict[str, Any], key: tuple[int, int]
    ) -> str | None:
        """Id of the job of the named entry with the same variant and seed, told apart by arguments they share."""
        if entry.upstream is None:
            return None
        found = self.made[entry.upstream, *key]
        same_variant = [job for job in found if job.spec.variant_arguments == variant_arguments] or found
        same_task = [job for job in same_variant if _agree(job.spec.arguments, arguments)] or same_variant
        if len(same_task) > 1:
            raise UsageError(
                f"{self.plan.source}: entry {entry.name!r}: upstream {entry.upstream!r} offers {len(same_task)} "
                f"jobs for {variant_label(found[0].spec)}, seed {key[1]}; name an entry that offers exactly one."
            )
        return same_task[0].id


def _agree(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return all(one[key] == other[key] for key in one.keys() & other.keys())


def _refuse_duplicates(plan: Plan, jobs: Sequence[Job]) -> None:
    first: dict[str, Job] = {}
    problems = []
    for job in jobs:
        twin = first.setdefault(job.id, job)
        if twin is not job:
            problems.append(
                f"{plan.source}: {job.name} (entries {twin.entry!r} and {job.entry!r}) is the same job twice."
            )
    if problems:
        raise UsageError([*problems[:5], *([f"... and {len(problems) - 5} more."] if len(problems) > 5 else [])])


def _selected(jobs: list[Job], catalogue: Catalogue, select: Sequence[str], exclude: Sequence[str]) -> list[Job]:
    if not select and not exclude:
        return jobs
    subjects = [_subject(job, catalogue) for job in jobs]
    wanted = _matching(subjects, select, "--select") if select else set(range(len(jobs)))
    wanted -= _matching(subjects, exclude, "--exclude")
    if not wanted:
        raise UsageError("--exclude leaves no job of this plan; exclude less.")
    ids = {jobs[index].id for index in wanted}
    for job in reversed(jobs):  # dependants come last, so one pass reaches every upstream of an upstream
        if job.id in ids and job.upstream:
            ids.add(job.upstream)
    return [job for job in jobs if job.id in ids]


def _matching(subjects: Sequence[Subject], patterns: Sequence[str], option: str) -> set[int]:
    found: set[int] = set()
    problems = []
    for text in patterns:
        pattern = parse(text)
        hits = {index for index, subject in enumerate(subjects) if pattern.matches(subject)}
        if not hits:
            names = {name for subject in subjects for name in subject.arguments}
            problems.append(f"{option} {text!r} matches no job. {unknown('name', text, names)}")
        found |= hits
    if problems:
        raise UsageError(problems)
    return found


def _subject(job: Job, catalogue: Catalogue) -> Subject:
    spec, label = job.spec, variant_label(job.spec)
    bare = job.name.replace(label, spec.variant)  # without the arguments, which nobody types
    labels = (label, setting_label(spec, catalogue.tasks[spec.task].label), job.name, bare)
    own, variants = ({k: plain(it) for k, it in given.items()} for given in (spec.arguments, spec.variant_arguments))
    texts = (spec.task, job.entry, spec.data, spec.engine, spec.variant, job.id, *labels)
    return Subject(texts, {spec.task: own, job.entry: own, spec.variant: variants})
