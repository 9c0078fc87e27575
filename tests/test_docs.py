"""The documents say what is true: the tree, the links, the commands, the example variant."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml

from jobs import registry
from jobs.api import Layer
from jobs.operators.attention import Attention

ROOT = Path(__file__).parents[1]
DOCUMENTS = [ROOT / name for name in ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md")]
DOCUMENTS += sorted(ROOT.glob("*/README.md"))


def tracked() -> list[str]:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    return listed.stdout.splitlines()


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_resolve(document: Path) -> None:
    targets = re.findall(r"\]\(([^)#]+)", document.read_text())
    missing = [target for target in targets if "://" not in target and not (document.parent / target).exists()]
    assert missing == []


def test_the_tree_in_the_readme_is_the_tree() -> None:
    tree = (ROOT / "README.md").read_text().partition("## The tree")[2].split("```")[1]
    entries, folder = set(), ""
    for line in tree.strip().splitlines():
        indent, name = re.match(r"( *)(\S+)", line).groups()  # type: ignore[union-attr]
        folder = folder if indent else name
        entries.add(folder + name if indent else name)
    assert [entry for entry in sorted(entries) if not (ROOT / entry).exists()] == []
    folders = {f"{path.split('/')[0]}/" for path in tracked() if "/" in path and not path.startswith(".")}
    assert folders - entries == set()
    for plane in ("suite", "jobs"):
        packages = {
            f"{plane}/{path.split('/')[1]}/"
            for path in tracked()
            if path.startswith(f"{plane}/") and path.count("/") > 1
        }
        assert packages - entries == set()


def test_the_commands_in_the_readme_exist() -> None:
    text = (ROOT / "README.md").read_text()
    verbs = set(re.findall(r"\.venv/bin/unsmooth (\w+)", text))
    assert {"plan", "run", "status", "new", "list"} <= verbs
    for verb in verbs:
        command = [sys.executable, "-m", "suite.cli", verb, "--help"]
        assert subprocess.run(command, cwd=ROOT, capture_output=True, check=False).returncode == 0, verb
    targets = set(re.findall(r"^make (\w+)", text, re.MULTILINE))
    assert targets == {"quickstart", "test"}
    assert all(re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE) for target in targets)


def test_the_readme_names_every_plan_and_variant() -> None:
    text = (ROOT / "README.md").read_text()
    for plan in (ROOT / "jobs" / "plans").glob("*.yaml"):
        assert f"jobs/plans/{plan.name}" in text
        assert yaml.safe_load(plan.read_text())["name"] == plan.stem
    for name in registry.variant_names():
        assert name in text


def test_the_example_variant_in_contributing_works_and_is_short(tmp_path: Path) -> None:
    block = (ROOT / "CONTRIBUTING.md").read_text().split("```python\n")[1].split("```")[0]
    code = "\n".join(line.removeprefix("   ") for line in block.splitlines())
    assert len(code.strip().splitlines()) <= 20
    (tmp_path / "half.py").write_text(code)
    half = registry.variant_from_file(tmp_path / "half.py")(Layer(0, 1, 4, 1, causal=False))
    q, k, v = torch.randn(3, 1, 1, 5, 4)
    a = Attention(q, k, x=v, memory={})
    assert torch.equal(half.mix(a, v), (a(v) + v) / 2)


def test_every_published_board_is_listed_with_what_it_holds() -> None:
    page = (ROOT / "results/README.md").read_text(encoding="utf-8")
    for folder in sorted(path.parent for path in (ROOT / "results").glob("*/SHA256SUMS")):
        counts = json.loads((folder / "leaderboard.json").read_text(encoding="utf-8"))["counts"]
        jobs = f"{counts['ok']} of {sum(counts.values())} jobs finished"
        assert f"| [{folder.name}]({folder.name}/leaderboard.md) | " in page, folder.name
        assert jobs in page, f"{folder.name}: {jobs}"
