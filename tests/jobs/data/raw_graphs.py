"""Tiny graphs written in each family's real raw format, as published."""

import gzip
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy
from scipy.sparse import csr_matrix

NODES = 40
EDGES = [(i, (i + 1) % NODES) for i in range(NODES)] + [(i, (i + 7) % NODES) for i in range(0, NODES, 2)]
LABELS = numpy.arange(NODES) % 4
COUNTS = (numpy.add.outer(numpy.arange(NODES), 2 * numpy.arange(6)) % 5 == 0).astype("float32")
"""Word counts, (N, 6): zeros and ones."""


def column(number: int) -> dict[str, numpy.ndarray]:
    """Masks of the ten-fold split of that number."""
    fold = (numpy.arange(NODES) + number) % 10
    return {"train_mask": fold < 6, "val_mask": (fold >= 6) & (fold < 8), "test_mask": fold >= 8}


def geom_gcn(raw: Path, name: str, *, sparse: bool = False) -> None:
    """WebKB, Wikipedia and Actor (`sparse`: the places of ones instead of all values)."""
    raw.mkdir(parents=True)
    rows = []
    for node, counts in enumerate(COUNTS.astype(int)):
        values = numpy.flatnonzero(counts) if sparse else counts
        rows.append(f"{node}\t{','.join(map(str, values))}\t{LABELS[node]}")
    write(raw / "out1_node_feature_label.txt", ["node_id\tfeature\tlabel", *rows])
    write(raw / "out1_graph_edges.txt", ["node_id\tnode_id", *(f"{a}\t{b}" for a, b in EDGES)])
    for number in range(10):
        numpy.savez(raw / f"{name}_split_0.6_0.2_{number}.npz", **column(number))


def heterophilous(raw: Path, name: str) -> None:
    raw.mkdir(parents=True)
    masks = [column(number) for number in range(10)]
    stacked = {f"{part}_masks": numpy.stack([mask[f"{part}_mask"] for mask in masks]) for part in TRAIN_VAL_TEST}
    labels = LABELS % 2 if name == "minesweeper" else LABELS
    fields = {"node_features": COUNTS - 0.5, "node_labels": labels, "edges": numpy.array(EDGES)}
    numpy.savez(raw / f"{name}.npz", **fields, **stacked)


def shchur(raw: Path, file: str) -> None:
    """Amazon and Coauthor."""
    raw.mkdir(parents=True)
    sources, targets = zip(*EDGES, strict=True)
    adjacency = csr_matrix((numpy.ones(len(EDGES), "float32"), (sources, targets)), (NODES, NODES))
    fields = {"labels": LABELS}
    for name, matrix in (("attr", csr_matrix(3 * COUNTS)), ("adj", adjacency)):
        fields |= {f"{name}_data": matrix.data, f"{name}_indices": matrix.indices}
        fields |= {f"{name}_indptr": matrix.indptr, f"{name}_shape": numpy.array(matrix.shape)}
    numpy.savez(raw / file, **fields)


def ogb(folder: Path) -> None:
    """OGB's text layout; `folder` holds raw/ and split/."""
    (folder / "raw").mkdir(parents=True)
    (folder / "split" / "time").mkdir(parents=True)
    (folder / "RELEASE_v1.txt").write_text("")
    tables = {
        "edge": [f"{a},{b}" for a, b in EDGES],
        "node-feat": [",".join(map(str, row)) for row in COUNTS],
        "node-label": LABELS,
        "node_year": numpy.full(NODES, 2017),
        "num-node-list": [NODES],
        "num-edge-list": [len(EDGES)],
    }
    for name, lines in tables.items():
        compressed(folder / "raw" / f"{name}.csv.gz", lines)
    for theirs, part in (("train", "train"), ("valid", "val"), ("test", "test")):
        compressed(folder / "split" / "time" / f"{theirs}.csv.gz", numpy.flatnonzero(column(0)[f"{part}_mask"]))


def write(path: Path, lines: list[str]) -> None:
    path.write_text("".join(f"{line}\n" for line in lines))


def compressed(path: Path, lines: object) -> None:
    path.write_bytes(gzip.compress("".join(f"{line}\n" for line in lines).encode()))  # type: ignore[attr-defined]


TRAIN_VAL_TEST = ("train", "val", "test")
WRITERS: Mapping[str, tuple[str, Callable[[Path], None]]] = {
    "cornell": ("webkb/cornell/raw", lambda raw: geom_gcn(raw, "cornell")),
    "texas": ("webkb/texas/raw", lambda raw: geom_gcn(raw, "texas")),
    "wisconsin": ("webkb/wisconsin/raw", lambda raw: geom_gcn(raw, "wisconsin")),
    "actor": ("actor/raw", lambda raw: geom_gcn(raw, "film", sparse=True)),
    "chameleon": ("wikipedia/chameleon/geom_gcn/raw", lambda raw: geom_gcn(raw, "chameleon")),
    "squirrel": ("wikipedia/squirrel/geom_gcn/raw", lambda raw: geom_gcn(raw, "squirrel")),
    "roman-empire": ("heterophilous/roman_empire/raw", lambda raw: heterophilous(raw, "roman_empire")),
    "amazon-ratings": ("heterophilous/amazon_ratings/raw", lambda raw: heterophilous(raw, "amazon_ratings")),
    "minesweeper": ("heterophilous/minesweeper/raw", lambda raw: heterophilous(raw, "minesweeper")),
    "tolokers": ("heterophilous/tolokers/raw", lambda raw: heterophilous(raw, "tolokers")),
    "questions": ("heterophilous/questions/raw", lambda raw: heterophilous(raw, "questions")),
    "amazon-computers": ("amazon/Computers/raw", lambda raw: shchur(raw, "amazon_electronics_computers.npz")),
    "amazon-photo": ("amazon/Photo/raw", lambda raw: shchur(raw, "amazon_electronics_photo.npz")),
    "coauthor-cs": ("coauthor/CS/raw", lambda raw: shchur(raw, "ms_academic_cs.npz")),
    "coauthor-physics": ("coauthor/Physics/raw", lambda raw: shchur(raw, "ms_academic_phy.npz")),
}
