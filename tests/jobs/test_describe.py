"""The catalogue that planning reads, and finding variants."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from jobs import registry
from jobs.errors import VariantError
from tests.jobs.tiny import ROOT

IDEA = "from jobs.api import Variant\n\n\nclass Idea(Variant):\n    def mix(self, a, v):\n        return a(v)\n"


def describe(*arguments: str, request: Any = None) -> dict[str, Any]:
    command = [sys.executable, "-m", "jobs.describe", *arguments]
    text = json.dumps(request) if request else ""
    found = subprocess.run(command, cwd=ROOT, input=text, capture_output=True, text=True, check=True)
    document: dict[str, Any] = json.loads(found.stdout)
    return document


def test_built_in_variants_are_described_with_arguments_and_defaults() -> None:
    found = describe()["variants"]["neutreno"]
    assert found["arguments"] == {"lam": {"type": "float", "default": 0.6}}
    assert found["source"] == "jobs/variants/neutreno.py" and found["builtin"]
    assert found["keeps"] == ["v0"] and found["neutral"] == {"lam": 0.0}


def test_tasks_name_their_data_metric_and_choices() -> None:
    found = describe()["tasks"]["graph"]
    assert found["metric"] == {"name": "accuracy", "unit": "%", "better": "higher"}
    assert found["arguments"]["normalisation"]["choices"] == ["symmetric", "row"]
    assert found["data"]["karate"]["embedded"]
    assert (found["engines"], found["full_batch"]) == (["ddp"], True)


def test_arguments_are_tried_and_each_problem_is_one_sentence() -> None:
    request = {
        "variants": [
            {"name": "neutreno", "arguments": {"lam": -1}},
            {"name": "neutreno", "arguments": {"lam": "much"}},
            {"name": "neutreno", "arguments": {"lam": 0.1}},
        ],
        "tasks": [{"task": "graph", "data": "karate", "split": "default", "arguments": {"normalisation": "columns"}}],
    }
    checked = describe(request=request)["checked"]
    assert checked["variants"] == [
        "neutreno: lam must be >= 0, got -1.",
        "lam: must be of type float, got 'much'.",
        None,
    ]
    assert checked["tasks"] == ["normalisation: must be one of symmetric, row, got 'columns'."]


def test_a_broken_outside_file_is_told_apart_from_a_sound_one(tmp_path: Path) -> None:
    (tmp_path / "good.py").write_text(IDEA)
    (tmp_path / "bad.py").write_text(IDEA.replace("):", ")"))
    found = describe("--variant-file", str(tmp_path / "good.py"), "--variant-file", str(tmp_path / "bad.py"))
    assert not found["variants"]["good"]["builtin"]
    assert found["broken"]["bad"]["problem"].startswith("bad.py, line 4: ")


def test_an_outside_file_cannot_take_a_built_in_name(tmp_path: Path) -> None:
    (tmp_path / "softmax.py").write_text(IDEA)
    found = describe("--variant-file", str(tmp_path / "softmax.py"))
    assert "is taken by jobs/variants/softmax.py" in found["broken"]["softmax"]["problem"]
    assert found["variants"]["softmax"]["builtin"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = 1\n", "exactly one subclass of jobs.api.Variant; found none"),
        (IDEA + IDEA.replace("Idea", "Other"), "found Idea, Other"),
        ("import nothing_of_this_name\n", "line 1: ModuleNotFoundError"),
        ("1 / 0\n", "line 1: ZeroDivisionError"),
    ],
)
def test_an_unusable_file_says_what_it_must_hold(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "idea.py").write_text(text)
    with pytest.raises(VariantError, match=message):
        registry.variant_from_file(tmp_path / "idea.py")


def test_an_unknown_name_comes_with_the_nearest_one() -> None:
    with pytest.raises(VariantError, match=r"Unknown variant 'neutrino'\. Did you mean 'neutreno'\?"):
        registry.variant("neutrino")


def test_a_file_inside_the_checkout_is_still_an_outside_one() -> None:
    found = describe("--variant-file", str(ROOT / "tests" / "jobs" / "half.py"))["variants"]["half"]
    assert not found["builtin"] and found["source"] == "tests/jobs/half.py"


def test_a_built_in_file_may_be_named_too() -> None:
    found = describe("--variant-file", str(ROOT / "jobs" / "variants" / "centered.py"))
    assert found["broken"] == {} and found["variants"]["centered"]["builtin"]


def test_a_constructor_that_fails_in_any_way_is_one_sentence(tmp_path: Path) -> None:
    init = "    def __init__(self, layer):\n        assert layer.depth >= 4, 'too shallow'\n"
    (tmp_path / "idea.py").write_text(IDEA.replace("    def mix", f"{init}\n    def mix"))
    request = {"variants": [{"name": "idea", "arguments": {}}]}
    found = describe("--variant-file", str(tmp_path / "idea.py"), request=request)
    assert found["checked"]["variants"] == ["AssertionError: too shallow"]
