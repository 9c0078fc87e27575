"""A corpus in fairseq's binary format: what `fairseq-preprocess` makes of the same text, byte for byte.

    <folder>/dict.txt, and per part (train, valid, test) <part>.bin and <part>.idx

Written by fairseq's own builder from the word numbers that the plain decoder reads, so both back-ends are sure to
read the same tokens.
"""

import shutil
from pathlib import Path

import torch
from fairseq.data import Dictionary, indexed_dataset
from torch import Tensor

from jobs.data.text import END, SPECIAL, Corpus
from jobs.errors import DataError

PARTS = {"train": "train", "valid": "val", "test": "test"}
"""fairseq's names of the parts, and ours."""


def write(corpus: Corpus, folder: Path, digest: str) -> None:
    """Write `corpus` to `folder`, all of it or nothing; a folder made of data of the same `digest` is kept.

    Raises:
        DataError: fairseq numbers the words in another way.
    """
    stamp = folder / "digest.txt"
    if stamp.exists() and stamp.read_text(encoding="ascii") == digest:
        return
    shutil.rmtree(folder, ignore_errors=True)
    aside = folder.with_name(f".{folder.name}")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    _dictionary(corpus).save(str(aside / "dict.txt"))
    read = Dictionary.load(str(aside / "dict.txt"))
    if read.symbols != corpus.words:
        first = next(i for i, pair in enumerate(zip(read.symbols, corpus.words, strict=False)) if pair[0] != pair[1])
        raise DataError(f"fairseq numbers the words differently from number {first} on ({corpus.words[first]!r}).")
    for part, ours in PARTS.items():
        _write_part(corpus.streams[ours][1:], aside / part, len(corpus.words))
    (aside / stamp.name).write_text(digest, encoding="ascii")
    aside.rename(folder)


def _dictionary(corpus: Corpus) -> Dictionary:
    counts = torch.bincount(corpus.streams["train"][1:], minlength=len(corpus.words)).tolist()
    dictionary = Dictionary()
    for word, count in list(zip(corpus.words, counts, strict=True))[len(SPECIAL) :]:
        dictionary.add_symbol(word, n=count)
    return dictionary


def _write_part(tokens: Tensor, path: Path, words: int) -> None:
    """One item per line, `</s>` at its end."""
    builder = indexed_dataset.make_builder(f"{path}.bin", impl="mmap", vocab_size=words)
    start = 0
    for end in ((tokens == END).nonzero()[:, 0] + 1).tolist():
        builder.add_item(tokens[start:end])
        start = end
    builder.finalize(f"{path}.idx")
