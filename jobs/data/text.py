"""Corpora as streams of word numbers: WikiText's files, and the text of Python's documentation topics, embedded.

Words are numbered as fairseq-preprocess numbers them: `<s> <pad> </s> <unk>`, then the training words by falling
frequency (ties by code point), then made-up words up to a multiple of 8. Every line ends with `</s>`, blank ones too.

Source: Merity, Xiong, Bradbury, Socher, "Pointer Sentinel Mixture Models", ICLR 2017 (WikiText).
"""

import dataclasses
import itertools
import re
from array import array
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from pydoc_data.topics import topics

import torch
from torch import Tensor

from jobs.errors import DataError
from jobs.provenance import digest_bytes, digest_files

SPECIAL = ("<s>", "<pad>", "</s>", "<unk>")
PADDING, END, UNKNOWN = 1, 2, 3
PARTS = ("train", "val", "test")

_FILES = {"train": "wiki.train.tokens", "val": "wiki.valid.tokens", "test": "wiki.test.tokens"}
_TOKENS = {
    "wikitext-2": {"train": 2_088_628, "val": 217_646, "test": 245_569},
    "wikitext-103": {"train": 103_227_021, "val": 217_646, "test": 245_569},
}
"""Tokens of the complete files, `</s>` counted."""

_WORD = re.compile(r"\w+|[^\w\s]")
_RARE = 3
"""Words of the documentation text that occur less often than this in training become `<unk>`."""
_HELD_OUT = {4: "val", 6: "test"}
"""Which of every ten documentation topics, by falling length, do not train."""
_LINES, _PIECE = 1_000, 1 << 22
"""Lines and numbers handled at a time."""


@dataclasses.dataclass(frozen=True)
class Corpus:
    """Words by number, and per part one stream (T + 1,) int32: `</s>`, then its T tokens."""

    words: list[str]
    streams: dict[str, Tensor]

    def tokens(self, part: str) -> int:
        """T, with the `</s>` of every line counted."""
        return len(self.streams[part]) - 1

    def block(self, part: str, index: int, context: int) -> tuple[Tensor, Tensor]:
        """Source and target (context,) of the training block `index`; the last, shorter one is left out."""
        piece = self.streams[part][index * context : (index + 1) * context + 1].long()
        return piece[:-1], piece[1:]


def load(name: str, root: Path | None) -> tuple[Corpus, str]:
    """The corpus `name` with its digest.

    Raises:
        DataError: its files are not below `root`, or are not complete.
    """
    if name == "pydoc":
        parts = split_topics(topics)
        digest = digest_bytes(*("\n".join(parts[part]).encode() for part in PARTS))
        return build(parts, rare=_RARE), digest
    folder = (root or Path("DATA")) / name
    paths = {part: folder / file for part, file in _FILES.items()}
    missing = [path.name for path in paths.values() if not path.is_file()]
    if root is None or missing:
        raise DataError(f"{name}: no {', '.join(missing)} in {folder}. Point --data to the folder that holds {name}/.")
    try:
        corpus = build({part: _Lines(path) for part, path in paths.items()})
    except UnicodeDecodeError as error:
        raise DataError(f"{name}: a file in {folder} is not UTF-8 text ({error}).") from error
    _expect_complete(name, corpus, paths)
    return corpus, digest_files(list(paths.values()))


def split_topics(texts: Mapping[str, str]) -> dict[str, list[str]]:
    """Lines of the documentation topics by part, each line already divided into words and punctuation.

    Topics quote each other at length, so a paragraph counts only where it first occurs, going through the topics by
    falling length. Of every ten topics in that order the fifth validates and the seventh tests: whole topics, no
    paragraph in two parts, nothing drawn at random.
    """
    seen: set[str] = set()
    parts: dict[str, list[str]] = {part: [] for part in PARTS}
    by_length = sorted(texts, key=lambda name: (-len(texts[name]), name))
    for place, name in enumerate(by_length):
        lines = parts[_HELD_OUT.get(place % 10, "train")]
        for paragraph in texts[name].split("\n\n"):
            key = " ".join(paragraph.split())
            if key not in seen:
                seen.add(key)
                lines += [" ".join(_WORD.findall(line)) for line in paragraph.split("\n")] + [""]
    return parts


def build(parts: Mapping[str, Iterable[str]], *, rare: int = 0) -> Corpus:
    """A corpus from lines of words; its vocabulary is the training lines', words rarer than `rare` left out.

    One pass over the text numbers words as they come; counting and renumbering are done on the numbers.
    """
    first: defaultdict[str, int] = defaultdict()
    first.default_factory = first.__len__
    first.update((word, number) for number, word in enumerate(SPECIAL))
    streams = {"train": _encode(parts["train"], first)}
    counts = _counts(streams["train"], len(first))
    words = vocabulary(dict(zip(first, counts, strict=True)), rare=rare)
    streams |= {part: _encode(parts[part], first) for part in PARTS if part != "train"}
    numbers = torch.full((len(first),), UNKNOWN, dtype=torch.int32)
    for number, word in enumerate(words):
        if word in first:
            numbers[first[word]] = number
    for stream in streams.values():
        for piece in stream.split(_PIECE):
            piece.copy_(numbers.index_select(0, piece))
    return Corpus(words, {part: streams[part] for part in PARTS})


def vocabulary(counts: Mapping[str, int], *, rare: int = 0) -> list[str]:
    """The words in the order of their numbers.

    >>> vocabulary({"b": 2, "a": 2, "c": 5, "d": 1, "<unk>": 9}, rare=2)
    ['<s>', '<pad>', '</s>', '<unk>', 'c', 'a', 'b', 'madeupword0000']
    """
    kept = [word for word, count in counts.items() if count >= rare and word not in SPECIAL]
    words = [*SPECIAL, *sorted(kept, key=lambda word: (-counts[word], word))]
    return words + [f"madeupword{i:04d}" for i in range(-len(words) % 8)]


class _Lines:
    """The lines of a file, read when they are asked for: WikiText-103 is never held as text."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __iter__(self) -> Iterator[str]:
        with self.path.open(encoding="utf-8") as file:
            yield from file


def _encode(lines: Iterable[str], numbers: Mapping[str, int]) -> Tensor:
    """The stream of `lines`, many lines at a time: a text of 100 million words leaves no time for more."""
    stream = array("i", [END])
    rest = iter(lines)
    while chunk := list(itertools.islice(rest, _LINES)):
        stream.extend(map(numbers.__getitem__, f" {SPECIAL[END]} ".join([*chunk, ""]).split()))
    return torch.frombuffer(stream, dtype=torch.int32)


def _counts(stream: Tensor, words: int) -> list[int]:
    """How often each number occurs; piece by piece, because counting makes an int64 copy."""
    counts = torch.zeros(words, dtype=torch.int64)
    for piece in stream.split(_PIECE):
        counts += piece.bincount(minlength=words)
    found: list[int] = counts.tolist()
    return found


def _expect_complete(name: str, corpus: Corpus, paths: Mapping[str, Path]) -> None:
    for part, tokens in _TOKENS[name].items():
        if corpus.tokens(part) != tokens:
            raise DataError(
                f"{name}: {paths[part]} holds {corpus.tokens(part):,} tokens, `</s>` counted; the complete file "
                f"holds {tokens:,}. Copy it again."
            )
