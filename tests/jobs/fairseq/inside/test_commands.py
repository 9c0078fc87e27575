"""fairseq's commands as a job calls them, and the ways in which they fail silently."""

from tests.jobs.fairseq.inside.built import framework, language, trained_with  # isort: skip  # the shim first

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from fairseq import optim, options
from fairseq.optim import lr_scheduler
from fairseq_cli import preprocess, train
from omegaconf import OmegaConf

from jobs.contract import JobFolder, Launch
from jobs.data import text
from jobs.errors import JobError
from jobs.fairseq import arguments, binary, score
from jobs.fairseq.command import replaced
from jobs.fairseq.course import Course
from jobs.training import checkpoint
from jobs.training.stop import Stop
from tests.jobs import formula, tiny


def test_the_binary_corpus_is_fairseq_preprocess_s_byte_for_byte(tmp_path: Path) -> None:
    lines = formula.lines()
    for part, ours in binary.PARTS.items():
        (tmp_path / part).write_text("\n".join(lines[ours]) + "\n", encoding="utf-8")
    theirs, folder = tmp_path / "theirs", tmp_path / "ours"
    words = ["--only-source", "--destdir", str(theirs), "--workers", "1"]
    words += [word for part in binary.PARTS for word in (f"--{part}pref", str(tmp_path / part))]
    preprocess.main(options.get_preprocessing_parser().parse_args(words))
    binary.write(text.build(lines), folder, "digest")
    written = sorted(path for path in folder.iterdir() if path.name != "digest.txt")
    for path in written:
        assert path.read_bytes() == (theirs / path.name).read_bytes(), path.name
    assert len(written) == 7


def test_the_binary_corpus_is_kept_for_the_same_data_and_made_anew_for_others(tmp_path: Path) -> None:
    corpus, folder = text.build(formula.lines()), tmp_path / "data"
    binary.write(corpus, folder, "one")
    (folder / "dict.txt").write_text("a mark")
    binary.write(corpus, folder, "one")
    assert (folder / "dict.txt").read_text() == "a mark"
    binary.write(corpus, folder, "other")
    assert (folder / "dict.txt").read_text() != "a mark"


@pytest.fixture(scope="module")
def scored(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A corpus in binary form and an untrained model's checkpoint, as eval-lm reads them."""
    folder = tmp_path_factory.mktemp("scored")
    corpus = text.build(formula.lines())
    binary.write(corpus, folder / "data", "digest")
    task = language()
    cfg = trained_with(task)
    cfg.task.data = str(folder / "data")
    model = framework(cfg, len(corpus.words)).build_model(cfg.model)
    document = {
        "args": None,
        "cfg": OmegaConf.to_container(cfg, resolve=True, enum_to_str=True),
        "model": model.state_dict(),
        "optimizer_history": [{"optimizer_name": "", "lr_scheduler_state": {}, "num_updates": 0}],
        "extra_state": {"train_iterator": {"epoch": 1, "iterations_in_epoch": 0}},
    }
    checkpoint.save(folder / "best.pt", document)
    return SimpleNamespace(task=task, corpus=corpus, folder=folder)


def cost(scored: Any, task: Any, overlap: int, tokens: int) -> float:
    wanted = arguments.scoring(
        task, data=scored.folder / "data", weights=scored.folder / "best.pt", part="test", overlap=overlap
    )
    return score.mean_cost(wanted, tokens=tokens)


@pytest.mark.parametrize("overlap", [0, 4])
def test_every_token_is_scored_once(overlap: int, scored: Any) -> None:
    tokens = scored.corpus.tokens("test")
    assert 3.0 < cost(scored, scored.task, overlap, tokens) < 5.0
    with pytest.raises(JobError, match=rf"scored {tokens} tokens of {tokens + 1}; every token must count exactly once"):
        cost(scored, scored.task, overlap, tokens + 1)


def test_windows_longer_than_the_trained_context_are_an_error_and_no_perplexity_of_one(scored: Any) -> None:
    with pytest.raises(JobError, match=r"eval-lm scored \d+ tokens of \d+; .* longer than the model's context"):
        cost(scored, language(context=32), 0, scored.corpus.tokens("test"))


def course(tmp_path: Path, **changes: Any) -> Course:
    job = tiny.spec("language", engine="fairseq", **changes)
    run = SimpleNamespace(
        spec=job,
        launch=Launch(attempt=1),
        folder=JobFolder(tmp_path),
        stop=Stop(),
    )
    return Course(run, language())  # type: ignore[arg-type]  # what a course reads of a run


def test_a_fairseq_that_trains_nothing_and_exits_0_is_an_error(tmp_path: Path) -> None:
    with (
        replaced(train, main=lambda cfg: None),
        pytest.raises(JobError, match="fairseq ended after step 0 of 6 and gave no reason"),
    ):
        course(tmp_path).train(tmp_path / "data")


@pytest.mark.parametrize("schedule", ["cosine", "inverse_sqrt"])
@pytest.mark.parametrize("warmup", [0, 10])
def test_the_rates_are_those_of_the_task(schedule: str, warmup: int) -> None:
    task = language(schedule=schedule, warmup=warmup, lr=0.5)
    cfg = trained_with(task, steps=60)
    optimizer = optim.build_optimizer(cfg.optimizer, [torch.nn.Parameter(torch.zeros(1))])
    theirs = lr_scheduler.build_lr_scheduler(cfg.lr_scheduler, optimizer)
    found = [theirs.step_update(step) / 0.5 for step in range(60)]
    expected = [task.rate(step, 60) for step in range(60)]
    assert found[warmup:] == pytest.approx(expected[warmup:], abs=1e-9)
    assert found[:warmup] == pytest.approx(expected[:warmup], abs=1 / max(1, warmup))
    assert min(found) > 0
