"""Plan files: YAML in, Plan out; every problem is found at once and named as `file: path.to.field: problem`."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeInt,
    PlainValidator,
    PositiveFloat,
    PositiveInt,
    ValidationError,
)
from pydantic_core import ErrorDetails, PydanticCustomError

from suite.errors import UsageError, unknown
from suite.planning import documents
from suite.planning.audit import Audit, Check, Finding
from suite.planning.catalogue import Catalogue
from suite.planning.catalogue import check as try_in_child
from suite.planning.plan import Choice, Entry, Plan

_Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


def _splits(value: object) -> object:
    """A text, or a list of texts as a tuple."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        return tuple(value)
    raise PydanticCustomError("split", "must be a text or a list of texts")


class _Entry(_Strict):
    task: str
    name: _Name | None = None
    data: str | None = None
    split: Annotated[str | tuple[str, ...] | None, PlainValidator(_splits)] = None
    arguments: dict[str, Any] = {}
    steps: PositiveInt | None = None
    global_batch: PositiveInt | None = None
    precision: Literal["float32", "bfloat16"] = "float32"
    threads: PositiveInt = 1
    engine: str = "ddp"
    compile: bool = False
    deterministic: bool = False
    upstream: str | None = None
    limits_s: dict[str, PositiveFloat] = {}
    gpus: NonNegativeInt | None = None
    nodes: PositiveInt | None = None


class _Choice(_Strict):
    name: str
    arguments: dict[str, Any] = {}
    per_task: dict[str, dict[str, Any]] = {}


class _Plan(_Strict):
    name: _Name
    tier: Literal["development", "ranked"]
    seeds: Annotated[list[NonNegativeInt], Field(min_length=1)]
    tasks: Annotated[list[Any], Field(min_length=1)]
    variants: Annotated[list[Any], Field(min_length=1)]


_Model = TypeVar("_Model", bound=_Strict)


def load(path: Path, catalogue: Catalogue, *, check: Check = try_in_child) -> Plan:
    """The plan in `path`; `check` tries its arguments out.

    Raises:
        UsageError: all that is wrong with the file.
    """
    document = documents.read(path)
    findings: list[Finding] = []
    head = _parsed(_Plan, document, "", findings)
    entries = {
        index: Entry(**{**item.model_dump(), "name": item.name or item.task})
        for index, item in _items(_Entry, document, "tasks", findings).items()
    }
    choices = {
        index: Choice(**item.model_dump()) for index, item in _items(_Choice, document, "variants", findings).items()
    }
    if head and len(set(head.seeds)) < len(head.seeds):
        findings.append(("seeds", f"must not repeat a seed, got {head.seeds}."))
    findings += Audit(entries, choices, catalogue).findings(check)
    if findings or head is None:
        raise UsageError(f"{path}: {where}: {what}" for where, what in findings)
    return Plan(
        name=head.name,
        tier=head.tier,
        seeds=tuple(head.seeds),
        entries=tuple(entries.values()),
        variants=tuple(choices.values()),
        source=str(path),
    )


def _items(model: type[_Model], document: Mapping[str, Any], key: str, findings: list[Finding]) -> dict[int, _Model]:
    """The well-formed items of a list, by position; a bare name is short for a mapping with that name."""
    items = document.get(key)
    short = "name" if model is _Choice else "task"
    parsed = {
        index: _parsed(model, {short: item} if isinstance(item, str) else item, f"{key}[{index}]", findings)
        for index, item in enumerate(items if isinstance(items, list) else ())
    }
    return {index: item for index, item in parsed.items() if item is not None}


def _parsed(model: type[_Model], document: object, where: str, findings: list[Finding]) -> _Model | None:
    """The document as `model`; what is wrong goes to `findings`, and the rest is kept if it can stand alone."""
    try:
        return model.model_validate(document)
    except ValidationError as error:
        details = error.errors(include_url=False)
    findings += [_finding(detail, where, list(model.model_fields)) for detail in details]
    wrong = {detail["loc"][0] for detail in details if detail["loc"]}
    if not isinstance(document, dict) or not wrong & document.keys():
        return None
    # Without its malformed fields, so that the names and values in the others are looked at too.
    return _parsed(model, {key: value for key, value in document.items() if key not in wrong}, where, [])


def _finding(detail: ErrorDetails, where: str, fields: Sequence[str]) -> Finding:
    path = where
    for part in detail["loc"]:
        path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else str(part)
    return path or "plan", _sentence(detail, fields)


_SENTENCES = {
    "missing": "is required.",
    "literal_error": "must be {expected}, got {value}.",
    "greater_than": "must be > {gt:g}, got {value}.",
    "greater_than_equal": "must be >= {ge:g}, got {value}.",
    "too_short": "must have at least one item.",
    "string_pattern_mismatch": "must be made of letters, digits, '_', '-' and '.', got {value}.",
    "int_type": "must be a whole number, got {value}.",
    "float_type": "must be a number, got {value}.",
    "bool_type": "must be true or false, got {value}.",
    "string_type": "must be a text, got {value}.",
    "dict_type": "must be a mapping, got {value}.",
    "list_type": "must be a list, got {value}.",
    "model_type": "must be a mapping, got {value}.",
}


def _sentence(detail: ErrorDetails, fields: Sequence[str]) -> str:
    if detail["type"] == "extra_forbidden":
        return unknown("field", detail["loc"][-1], fields)
    sentence = _SENTENCES.get(detail["type"])
    if sentence is None:
        return f"{detail['msg']}, got {detail['input']!r}."
    return sentence.format(value=repr(detail["input"]), **detail.get("ctx", {}))
