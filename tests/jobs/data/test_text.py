import json
from pathlib import Path
from pydoc_data.topics import topics

import pytest
import torch

from jobs.api import Variant
from jobs.data import text
from jobs.errors import DataError
from jobs.hosts.lm import LanguageModel, Shape
from jobs.metrics.perplexity import mean_cost, perplexity
from tests.jobs import formula

GOLDEN = json.loads((Path(__file__).parents[2] / "golden/fairseq_text.json").read_text())


def test_words_are_numbered_as_fairseq_preprocess_numbers_them() -> None:
    assert text.build(formula.lines()).words == GOLDEN["words"]


def test_a_text_has_the_perplexities_that_fairseq_eval_lm_reports() -> None:
    corpus = text.build(formula.lines())
    shape = Shape(vocabulary=len(corpus.words), context=12, depth=3, width=32, heads=4, ffn=48)
    model = LanguageModel(shape, Variant).eval()
    formula.fill(model)
    stream = corpus.streams["test"].long()
    assert corpus.tokens("test") == GOLDEN["test_tokens"]
    with torch.no_grad():
        found = [
            perplexity(mean_cost(lambda s, t: model(s, t)[0], stream, context=12, overlap=overlap, batch=2))
            for overlap in (0, 5)
        ]
    assert found == pytest.approx([GOLDEN["perplexity"], GOLDEN["perplexity_sliding"]], rel=2e-6)


def test_every_line_ends_with_an_end_token_and_blank_lines_count() -> None:
    corpus = text.build({"train": ["a b", "", "a\n"], "val": [""], "test": ["c a"]})
    assert corpus.words[:6] == ["<s>", "<pad>", "</s>", "<unk>", "a", "b"]
    assert corpus.streams["train"].tolist() == [2, 4, 5, 2, 2, 4, 2]
    assert corpus.streams["test"].tolist() == [2, 3, 4, 2]
    assert [corpus.tokens(part) for part in text.PARTS] == [6, 1, 3]


def test_blocks_tile_the_training_stream() -> None:
    corpus = text.build({"train": ["a b c d e f"], "val": [], "test": []})
    pairs = [corpus.block("train", index, 3) for index in range(2)]
    stream = corpus.streams["train"].tolist()
    assert [source.tolist() for source, _ in pairs] == [stream[0:3], stream[3:6]]
    assert [target.tolist() for _, target in pairs] == [stream[1:4], stream[4:7]]


def test_the_documentation_topics_are_split_without_a_paragraph_in_two_parts() -> None:
    long = {
        part: {line for line in lines if len(line.split()) > 12} for part, lines in text.split_topics(topics).items()
    }
    overlap = len(long["train"] & (long["val"] | long["test"])) + len(long["val"] & long["test"])
    assert all(len(lines) > 100 for lines in long.values())
    assert overlap <= 0.01 * len(long["train"])


def test_quoted_paragraphs_count_once() -> None:
    texts = {"long": "one two three.\n\nshared words\n\nmore text here", "short": "shared   words\n\nnew"}
    lines = [line for part in text.split_topics(texts).values() for line in part]
    assert [line for line in lines if line] == ["one two three .", "shared words", "more text here", "new"]


def test_the_embedded_corpus_is_the_same_each_time() -> None:
    first, digest = text.load("pydoc", None)
    second, again = text.load("pydoc", None)
    assert digest == again and first.words == second.words
    assert all(torch.equal(first.streams[part], second.streams[part]) for part in text.PARTS)
    assert len(first.words) % 8 == 0


def test_missing_files_are_named(tmp_path: Path) -> None:
    (tmp_path / "wikitext-2").mkdir()
    (tmp_path / "wikitext-2" / "wiki.train.tokens").write_text("a")
    with pytest.raises(DataError, match=r"no wiki.valid.tokens, wiki.test.tokens in .*Point --data to"):
        text.load("wikitext-2", tmp_path)


def test_no_data_root_is_a_data_error() -> None:
    with pytest.raises(DataError, match="Point --data to the folder that holds wikitext-103/"):
        text.load("wikitext-103", None)


def test_an_incomplete_file_is_refused_with_both_counts(tmp_path: Path) -> None:
    folder = tmp_path / "wikitext-2"
    folder.mkdir()
    for part in ("train", "valid", "test"):
        (folder / f"wiki.{part}.tokens").write_text(" = Title = \n")
    with pytest.raises(DataError, match=r"holds 4 tokens.*the complete file holds 2,088,628. Copy it again"):
        text.load("wikitext-2", tmp_path)


def test_a_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "wikitext-2"
    folder.mkdir()
    for part in ("train", "valid", "test"):
        (folder / f"wiki.{part}.tokens").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match="is not UTF-8 text"):
        text.load("wikitext-2", tmp_path)
