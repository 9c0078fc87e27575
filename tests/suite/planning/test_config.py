"""A plan file is read whole: every problem at once, each with its place and what to do."""

from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml

from suite.errors import UsageError
from suite.planning import config
from suite.planning.catalogue import Catalogue, Checked
from suite.planning.description import Request
from suite.planning.plan import Choice, Entry
from tests.suite.described import catalogue

GOOD = """
name: smoke
tier: development
seeds: [0, 1]
tasks:
  - name: deep
    task: graph
    data: karate
    arguments: {depth: [2, 8], dropout: 0.5}
    steps: 60
    limits_s: {train: 600}
  - classification
  - task: segmentation
    upstream: classification
variants:
  - softmax
  - name: neutreno
    arguments: {lam: [0.4, 0.6]}
    per_task: {language: {lam: 0.2}}
"""


class Tried:
    """Stands in for the child process: refuses what it is told to and remembers what it was asked."""

    def __init__(self, refuse: Mapping[str, str] | None = None) -> None:
        self.refuse = refuse or {}
        self.request = Request()

    def __call__(self, catalogue: Catalogue, request: Request) -> Checked:
        self.request = request
        variants = tuple(self.refuse.get(f"{name} {dict(given)}") for name, given in request.variants)
        return Checked(variants, tuple(self.refuse.get(str(task["task"])) for task in request.tasks))


def written(folder: Path, text: str) -> Path:
    path = folder / "plan.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def problems(folder: Path, text: str, tried: Tried | None = None) -> list[str]:
    """What is wrong with a plan, without the file's name in front."""
    path = written(folder, text)
    with pytest.raises(UsageError) as caught:
        config.load(path, catalogue(), check=tried or Tried())
    assert all(message.startswith(f"{path}: ") for message in caught.value.messages)
    return [message.removeprefix(f"{path}: ") for message in caught.value.messages]


def changed(**changes: object) -> str:
    """The good plan with some of its fields replaced."""
    return yaml.safe_dump({**yaml.safe_load(GOOD), **changes})


def test_a_good_plan_is_read_as_it_stands(tmp_path: Path) -> None:
    plan = config.load(written(tmp_path, GOOD), catalogue(), check=Tried())
    assert (plan.name, plan.tier, plan.seeds) == ("smoke", "development", (0, 1))
    assert plan.entries[0].arguments == {"depth": [2, 8], "dropout": 0.5}
    assert plan.entries[1] == Entry(name="classification", task="classification")
    assert plan.entries[2].upstream == "classification"
    assert plan.variants[0] == Choice(name="softmax")
    assert plan.variants[1].per_task == {"language": {"lam": 0.2}}


def test_every_set_of_arguments_is_tried_once_with_its_defaults_filled_in(tmp_path: Path) -> None:
    tried = Tried()
    config.load(written(tmp_path, GOOD), catalogue(), check=tried)
    assert [(name, dict(given)) for name, given in tried.request.variants] == [
        ("softmax", {}),
        ("neutreno", {"lam": 0.4}),
        ("neutreno", {"lam": 0.6}),
    ]
    assert [task["arguments"].get("depth") for task in tried.request.tasks] == [2, 8, 4, None]


def test_all_problems_come_together(tmp_path: Path) -> None:
    text = """
name: bad plan
tier: devlopment
seeds: []
sedes: [1]
tasks:
  - task: grph
  - task: graph
    data: karat
    arguments: {dept: 2, dropout: high}
    steps: 0
  - {task: language, limits_s: {trian: 5}, upstream: graf}
variants:
  - neutrino
  - {name: neutreno, arguments: {lamb: 1}, per_task: {langage: {lam: 0.4}}}
"""
    assert sorted(problems(tmp_path, text)) == sorted(
        [
            "name: must be made of letters, digits, '_', '-' and '.', got 'bad plan'.",
            "tier: must be 'development' or 'ranked', got 'devlopment'.",
            "seeds: must have at least one item.",
            "sedes: Unknown field 'sedes'. Did you mean 'seeds'? Available: name, seeds, tasks, tier, variants.",
            "tasks[0].task: Unknown task 'grph'. Did you mean 'graph'? "
            "Available: classification, graph, language, segmentation.",
            "tasks[1].steps: must be > 0, got 0.",
            "tasks[1].data: Unknown data set of task graph 'karat'. Did you mean 'karate'? Available: cora, karate.",
            "tasks[1].arguments.dept: Unknown argument of graph 'dept'. Did you mean 'depth'? "
            "Available: depth, dropout, model.",
            "tasks[1].arguments.dropout: must be a number, got 'high'.",
            "tasks[2].limits_s.trian: Unknown phase 'trian'. Did you mean 'train'? "
            "Available: build, evaluate, heartbeat, start, train.",
            "tasks[2].upstream: Unknown entry 'graf'. Did you mean 'graph'? Available: graph, grph.",
            "variants[0].name: Unknown variant 'neutrino'. Did you mean 'neutreno'? "
            "Available: centered, neutreno, pooled, softmax.",
            "variants[1].per_task.langage: Unknown task 'langage'. Did you mean 'language'? "
            "Available: classification, graph, language, segmentation.",
            "variants[1].arguments.lamb: Unknown argument of neutreno 'lamb'. Did you mean 'lam'? Available: lam.",
        ]
    )


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ({"data": "karat"}, "tasks[0].data: Unknown data set of task graph 'karat'. Did you mean 'karate'?"),
        ({"data": "cora", "split": "publik"}, "tasks[0].split: Unknown split of cora 'publik'. Did you mean 'public'?"),
        (
            {"arguments": {"dept": 2}},
            "tasks[0].arguments.dept: Unknown argument of graph 'dept'. Did you mean 'depth'?",
        ),
        (
            {"data": "cora", "split": ["public", "publik"]},
            "tasks[0].split: Unknown split of cora 'publik'. Did you mean 'public'?",
        ),
        ({"data": "cora", "split": []}, "tasks[0].split: is an empty list, which stands for no job;"),
        ({"split": ["a", 3]}, "tasks[0].split: must be a text or a list of texts, got ['a', 3]."),
        ({"arguments": {"depth": 2.5}}, "tasks[0].arguments.depth: must be a whole number, got 2.5."),
        ({"arguments": {"depth": [2, True]}}, "tasks[0].arguments.depth: must be a whole number, got True."),
        ({"arguments": {"dropout": "high"}}, "tasks[0].arguments.dropout: must be a number, got 'high'."),
        ({"arguments": {"dropout": float("nan")}}, "tasks[0].arguments.dropout: must be a finite number, got nan."),
        ({"arguments": {"depth": []}}, "tasks[0].arguments.depth: is an empty list, which stands for no job;"),
        ({"precision": "float16"}, "tasks[0].precision: must be 'float32' or 'bfloat16', got 'float16'."),
        ({"limits_s": {"train": -1}}, "tasks[0].limits_s.train: must be > 0, got -1."),
        ({"steps": "60"}, "tasks[0].steps: must be a whole number, got '60'."),
        ({"upstream": "graph"}, "tasks[0].upstream: starts from itself: graph <- graph."),
        ({"arguments": None}, "tasks[0].arguments: must be a mapping, got None."),
        ({"engine": "zero3"}, "tasks[0].engine: must be one of ddp, got 'zero3'."),
        ({"engine": 3}, "tasks[0].engine: must be a text, got 3."),
        ({"deterministic": "yes"}, "tasks[0].deterministic: must be true or false, got 'yes'."),
    ],
)
def test_a_problem_in_an_entry_is_named_with_its_place(tmp_path: Path, entry: dict[str, object], expected: str) -> None:
    (problem,) = problems(tmp_path, changed(tasks=[{"task": "graph", **entry}]))
    assert problem.startswith(expected)


@pytest.mark.parametrize(
    ("variant", "expected"),
    [
        ({"arguments": {"count": "x"}}, "variants[0].arguments.count: must be a whole number, got 'x'."),
        ({"arguments": {"shared": 1}}, "variants[0].arguments.shared: must be true or false, got 1."),
        ({"per_task": {"graph": {"kind": 3}}}, "variants[0].per_task.graph.kind: must be a text, got 3."),
        ({"lam": 0.6}, "variants[0].lam: Unknown field 'lam'. Available: arguments, name, per_task."),
    ],
)
def test_a_problem_in_a_variant_is_named_with_its_place(
    tmp_path: Path, variant: dict[str, object], expected: str
) -> None:
    assert problems(tmp_path, changed(variants=[{"name": "pooled", **variant}])) == [expected]


def test_an_engine_must_be_one_of_the_tasks_own(tmp_path: Path) -> None:
    text = changed(
        tasks=[{"task": "language", "engine": "zero3"}, {"task": "language", "name": "b", "engine": "zero1"}]
    )
    assert problems(tmp_path, text) == ["tasks[0].engine: must be one of ddp, zero1, fairseq, got 'zero3'."]


def test_what_a_variant_refuses_is_named_at_the_argument_it_speaks_of(tmp_path: Path) -> None:
    tried = Tried({"neutreno {'lam': -1.0}": "neutreno: lam must be >= 0, got -1.0."})
    general = changed(variants=[{"name": "neutreno", "arguments": {"lam": [0.6, -1]}}])
    assert problems(tmp_path, general, tried) == [
        "variants[0].arguments.lam: neutreno: lam must be >= 0, got -1.0.",
    ]
    per_task = changed(variants=[{"name": "neutreno", "per_task": {"graph": {"lam": -1}}}])
    assert problems(tmp_path, per_task, tried) == [
        "variants[0].per_task.graph.lam: neutreno: lam must be >= 0, got -1.0.",
    ]


def test_what_a_task_refuses_is_named_at_its_entry(tmp_path: Path) -> None:
    tried = Tried({"classification": "depth must be even."})
    assert problems(tmp_path, GOOD, tried) == ["tasks[1]: depth must be even."]


def test_two_entries_of_one_name_are_refused(tmp_path: Path) -> None:
    assert problems(tmp_path, changed(tasks=["graph", {"task": "graph", "steps": 5}])) == [
        "tasks[1].name: 'graph' is also tasks[0]; give each its own name.",
    ]


def test_entries_that_wait_for_each_other_are_refused(tmp_path: Path) -> None:
    tasks = [{"task": "graph", "upstream": "language"}, {"task": "language", "upstream": "graph"}]
    assert problems(tmp_path, changed(tasks=tasks)) == [
        "tasks[0].upstream: starts from itself: graph <- language <- graph.",
        "tasks[1].upstream: starts from itself: language <- graph <- language.",
    ]


def test_a_seed_given_twice_is_refused(tmp_path: Path) -> None:
    assert problems(tmp_path, changed(seeds=[0, 0])) == ["seeds: must not repeat a seed, got [0, 0]."]


def test_a_broken_variant_file_may_be_named_with_any_arguments(tmp_path: Path) -> None:
    text = changed(variants=[{"name": "my_idea", "arguments": {"anything": 3}}])
    assert config.load(written(tmp_path, text), catalogue(), check=Tried()).variants[0].name == "my_idea"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("name: x\ntasks: [a,\nseeds: 1", "line 3: "),
        ("name: x\nname: y", "line 2: 'name' is given twice."),
        ("- a\n- b", "must hold a mapping with name, tier, seeds, tasks and variants."),
        ("name: !!python/object:os.system x", "line 1: could not determine a constructor for the tag"),
    ],
)
def test_a_file_that_is_no_plan_is_refused_with_its_line(tmp_path: Path, text: str, expected: str) -> None:
    (problem,) = problems(tmp_path, text)
    assert problem.startswith(expected)


def test_a_missing_plan_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"none.yaml: no such file. Give the path of a plan"):
        config.load(tmp_path / "none.yaml", catalogue(), check=Tried())


def test_numbers_in_scientific_notation_are_numbers(tmp_path: Path) -> None:
    text = GOOD.replace("dropout: 0.5", "dropout: 5e-1")
    plan = config.load(written(tmp_path, text), catalogue(), check=Tried())
    assert plan.entries[0].arguments["dropout"] == 0.5
