"""Site files: what is wrong is said at once, by name, with what is allowed."""

from pathlib import Path

import pytest

from suite.clusters import site
from suite.errors import UsageError

ROOT = Path(__file__).parents[3]


def loaded(folder: Path, text: str) -> site.Site:
    path = folder / "site.toml"
    path.write_text(text)
    return site.load(path)


def problems(folder: Path, text: str) -> str:
    with pytest.raises(UsageError) as raised:
        loaded(folder, text)
    return "\n".join(raised.value.messages)


def test_the_example_is_a_site() -> None:
    assert site.load(ROOT / "slurm" / "site.toml").slurm.nodes == 2


def test_an_empty_file_is_a_site_of_one_node(tmp_path: Path) -> None:
    assert loaded(tmp_path, "") == site.Site()


def test_everything_that_is_wrong_is_said_at_once(tmp_path: Path) -> None:
    said = problems(
        tmp_path, '[slurm]\nmode = "rai"\nnodes = 0\ntimee = "1"\noptions = [1]\n[node]\ntemp = "x"\n[nodes]'
    )
    assert "slurm.mode: Unknown mode 'rai'. Did you mean 'ray'?" in said
    assert "slurm.nodes: must be >= 1, got 0." in said
    assert "slurm.timee: Unknown field 'timee'. Did you mean 'time'?" in said
    assert "slurm.options: must be a list of texts, got [1]." in said
    assert "node.temp: must be an absolute path, got 'x'." in said
    assert "nodes: Unknown table 'nodes'. Did you mean 'node'?" in said


@pytest.mark.parametrize("value", ["true", '"3"', "1.5", "[]"])
def test_a_number_is_a_whole_number(tmp_path: Path, value: str) -> None:
    assert "slurm.nodes: must be a whole number" in problems(tmp_path, f"[slurm]\nnodes = {value}")


def test_a_line_break_cannot_smuggle_in_another_option(tmp_path: Path) -> None:
    assert "must be one line" in problems(tmp_path, '[slurm]\npartition = "a\\n#SBATCH --uid=0"')


def test_a_missing_file_names_the_example(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"nope.toml: no such file. slurm/site.toml"):
        site.load(tmp_path / "nope.toml")


def test_what_is_no_toml_is_said(tmp_path: Path) -> None:
    assert "cannot be read as TOML" in problems(tmp_path, "slurm]")
