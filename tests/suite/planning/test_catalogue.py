"""What there is to run is asked for in a child process, once for each state of the code."""

import json
from pathlib import Path

import pytest

from suite.errors import CatalogueError, UsageError
from suite.planning import catalogue
from suite.planning.catalogue import Catalogue
from suite.planning.description import Child, Request, ask
from tests.suite import described

IDEA = """\"\"\"My idea: nothing new.\"\"\"
from jobs.api import Layer, Variant


class MyIdea(Variant):
    def __init__(self, layer: Layer, *, strength: float = 0.5) -> None:
        super().__init__(layer)
"""


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache folder for the tests of this file, so that they describe each state once."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def _own_cache(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))


def written(folder: Path, name: str, text: str) -> Path:
    path = folder / f"{name}.py"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_description_becomes_variants_tasks_and_data_sets() -> None:
    found = described.catalogue()
    assert found.variants["neutreno"].arguments["lam"].default == 0.6
    assert found.variants["neutreno"].source.is_absolute()
    assert found.tasks["graph"].default_data == "karate"
    assert found.tasks["graph"].data["cora"].default_split == "public"
    assert found.broken["my_idea"].problem == "my_idea.py, line 3: invalid syntax."


@pytest.mark.parametrize("document", [{"schema": 2}, {"schema": 1, "variants": {}}, {"schema": 1, "variants": []}])
def test_a_description_of_another_form_is_refused(document: dict[str, object]) -> None:
    with pytest.raises(CatalogueError, match=r"jobs\.describe answered with"):
        Catalogue.from_dict(document)


def test_the_real_catalogue_has_the_baseline_and_the_four_tasks() -> None:
    found = catalogue.load()
    assert found.variants["softmax"].arguments == {}
    assert {"graph", "language", "classification", "segmentation"} <= set(found.tasks)
    assert found.broken == {}


def test_the_answer_comes_from_the_cache_until_it_is_damaged(cache: Path) -> None:
    original = catalogue.load().tasks["graph"].steps
    for path in cache.rglob("describe-*.json"):
        document = json.loads(path.read_text())
        document["tasks"]["graph"]["steps"] = 12345
        path.write_text(json.dumps(document))
    assert catalogue.load().tasks["graph"].steps == 12345
    for path in cache.rglob("describe-*.json"):
        path.write_text("{ cut off")
    assert catalogue.load().tasks["graph"].steps == original
    assert any("cut off" not in path.read_text() for path in cache.rglob("describe-*.json"))


def test_a_cache_that_cannot_be_written_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "taken").write_text("a file, not a folder")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "taken"))
    assert "softmax" in catalogue.load().variants


def test_an_outside_variant_is_found_and_found_anew_when_it_changes(tmp_path: Path) -> None:
    path = written(tmp_path, "my_idea", IDEA)
    first = catalogue.load(variant_files=[path]).variants["my_idea"]
    assert (first.source, first.builtin, first.arguments["strength"].default) == (path, False, 0.5)
    written(tmp_path, "my_idea", IDEA.replace("0.5", "0.7"))
    second = catalogue.load(variant_files=[path]).variants["my_idea"]
    assert second.arguments["strength"].default == 0.7
    assert first.sha256 != second.sha256


def test_a_file_with_a_syntax_error_is_broken_and_the_others_are_there(tmp_path: Path) -> None:
    found = catalogue.load(variant_files=[written(tmp_path, "torn", "class Torn(:\n"), written(tmp_path, "idea", IDEA)])
    assert "torn.py, line 1" in found.broken["torn"].problem
    assert {"softmax", "idea"} <= set(found.variants)


def test_a_file_that_ends_the_child_is_broken_and_the_others_are_there(tmp_path: Path) -> None:
    fatal = written(tmp_path, "fatal", "import os\nos._exit(3)\n")
    found = catalogue.load(variant_files=[fatal, written(tmp_path, "idea", IDEA)])
    assert "exit code 3" in found.broken["fatal"].problem
    assert {"softmax", "idea"} <= set(found.variants)
    assert fatal not in found.variant_files


def test_a_description_that_takes_too_long_is_given_up() -> None:
    with pytest.raises(CatalogueError, match=r"did not finish within 0.05 s"):
        ask([], Request(), Child(limit_s=0.05))


def test_a_missing_variant_file_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"none.py: no such file"):
        catalogue.load(variant_files=[tmp_path / "none.py"])


def test_arguments_are_tried_out_on_a_tiny_layer() -> None:
    request = Request(
        variants=(("neutreno", {"lam": -1.0}), ("neutreno", {"lam": 0.6})),
        tasks=({"task": "graph", "data": "karate", "split": "default", "arguments": {"depth": 0}},),
    )
    checked = catalogue.check(catalogue.load(), request)
    assert "lam must be >= 0, got -1" in str(checked.variants[0])
    assert checked.variants[1] is None
    assert "depth must be >= 1, got 0" in str(checked.tasks[0])
