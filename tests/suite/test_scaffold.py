"""A new variant file runs as it is, and nothing is overwritten."""

import ast
from pathlib import Path

import pytest

from suite import scaffold
from suite.errors import UsageError
from suite.planning import catalogue


def test_a_new_variant_is_described_without_a_problem(tmp_path: Path) -> None:
    path, formula = scaffold.write("my_idea", tmp_path / "ideas")
    assert (path.name, formula.name) == ("my_idea.py", "my_idea_formula.py")
    found = catalogue.load(variant_files=[path])
    assert found.broken == {}
    assert found.variants["my_idea"].summary.startswith("My idea:")
    assert found.variants["my_idea"].arguments["strength"].default == 0.1


def test_the_formula_stands_on_top(tmp_path: Path) -> None:
    tree = ast.parse(scaffold.write("my_idea", tmp_path)[0].read_text())
    assert "O_l = A_l V_l" in str(ast.get_docstring(tree))
    assert [node.name for node in tree.body if isinstance(node, ast.ClassDef)] == ["MyIdea"]


def test_an_existing_file_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "my_idea.py"
    path.write_text("precious")
    with pytest.raises(UsageError, match="exists already"):
        scaffold.write("my_idea", tmp_path)
    assert path.read_text() == "precious"


@pytest.mark.parametrize("taken", ["my_idea.py", "my_idea_formula.py"])
def test_nothing_is_written_beside_a_file_that_exists(taken: str, tmp_path: Path) -> None:
    (tmp_path / taken).write_text("precious")
    with pytest.raises(UsageError, match=f"{taken} exists already"):
        scaffold.write("my_idea", tmp_path)
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [(taken, "precious")]


@pytest.mark.parametrize("name", ["MyIdea", "my idea", "1st", "class", "../up", "_hidden", "a__b", ""])
def test_a_name_that_cannot_be_a_variants_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be called"):
        scaffold.write(name, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_name_of_a_built_in_variant_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="There is a variant 'neutreno' already"):
        scaffold.write("neutreno", tmp_path)


def test_a_folder_that_cannot_be_made_is_a_usage_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError):
        scaffold.write("my_idea", tmp_path / "file" / "below")
