"""Published figures say where they come from and how they were obtained."""

from pathlib import Path

import pytest
import yaml

from jobs import registry

FILES = sorted((Path(__file__).parents[1] / "results" / "reference").glob("*.yaml"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_published_figure_has_a_source_a_mark_and_a_data_set(path: Path) -> None:
    for published in yaml.safe_load(path.read_text(encoding="utf-8")):
        assert published["source"]
        assert published["mark"] in ("seen", "second-hand", "recalled")
        assert all(row["data"] for row in published["rows"])


def test_every_task_has_published_figures() -> None:
    singular = {"graphs": "graph"}
    assert {singular.get(path.stem, path.stem) for path in FILES} == set(registry.task_names())
