"""DeiT's recipe entire on real JPEGs: timm's own numbers, any number of reading processes, kill and resume."""

import os
import random
import signal
from pathlib import Path
from typing import Any

import numpy
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_digits
from timm.data.mixup import Mixup
from timm.data.transforms_factory import create_transform
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from jobs.api import Draw
from jobs.contract import JobSpec, Result, read_events
from jobs.randomness import derive
from jobs.tasks.classification import Classification
from tests.jobs import tiny

RECIPE: dict[str, Any] = {
    "drop_path": 0.1,
    "lr": 0.01,
    "schedule": "epochs",
    "warmup_epochs": 1,
    "label_smoothing": 0.1,
    "clip": 0.0,
    "train_area": 0.08,
    "test_side": 0.875,
    "rand_augment": "rand-m9-mstd0.5-inc1",
    "color_jitter": 0.4,
    "erasing": 0.25,
    "mixup": 0.8,
    "cutmix": 1.0,
    "repeats": 3,
    "average": 0.9,
    "position_std": 0.02,
}
ARGUMENTS = RECIPE | {"depth": 2, "width": 8, "heads": 2, "folder": "digits"}
DRAWS: list[Draw] = [(0, 3), (1, 3), (2, 3), (0, 17)]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data root with ten classes of digits as JPEGs, two each to train and one to test."""
    root, digits = tmp_path_factory.mktemp("data"), load_digits()
    for part, chosen in {"train": range(20), "val": range(20, 30)}.items():
        for index in chosen:
            folder = root / "digits" / part / str(digits.target[index])
            folder.mkdir(parents=True, exist_ok=True)
            picture = Image.fromarray((digits.images[index] * 15).astype("uint8")).resize((40, 36))
            picture.convert("RGB").save(folder / f"{index}.jpeg")
    return root


def task(data: Path) -> Classification:
    found = Classification(**ARGUMENTS)
    found.load("imagefolder", "default", data, 0)
    return found


def seeded(*place: int | str) -> None:
    value = derive(0, *place)
    random.seed(value)
    numpy.random.seed(value % 2**32)
    torch.manual_seed(value)


def test_a_batch_is_what_timms_own_pieces_make_of_the_same_streams(data: Path) -> None:
    found = task(data)
    transform = create_transform(
        16,
        is_training=True,
        color_jitter=0.4,
        auto_augment="rand-m9-mstd0.5-inc1",
        interpolation="bicubic",
        re_prob=0.25,
        re_mode="pixel",
    )
    pictures, labels = [], []
    for draw in DRAWS:
        path, label = found._pictures.samples["train"][draw[1]]  # type: ignore[attr-defined]  # a folder's
        seeded("augment", *draw)
        pictures.append(transform(Image.open(path).convert("RGB")))
        labels.append(label)
    mix = Mixup(mixup_alpha=0.8, cutmix_alpha=1.0, prob=1.0, switch_prob=0.5, label_smoothing=0.1, num_classes=10)
    seeded("mix", *(number for draw in DRAWS for number in draw))
    expected = mix(torch.stack(pictures), torch.tensor(labels))
    assert all(map(torch.equal, found.batch(DRAWS), expected))


class Batches(Dataset[tuple[Tensor, Tensor]]):
    """What data-loading processes are given: draws in, a batch out."""

    def __init__(self, found: Classification) -> None:
        self.found = found

    def __getitem__(self, draws: list[Draw]) -> tuple[Tensor, Tensor]:
        return self.found.batch(draws)  # type: ignore[no-any-return]  # pictures and soft labels


def test_data_loading_processes_make_the_same_batches(data: Path) -> None:
    order = [[(epoch, index) for index in range(epoch, epoch + 4)] for epoch in range(5)]
    batches = Batches(task(data))
    alone = list(DataLoader(batches, batch_size=None, sampler=order))
    apart = list(DataLoader(batches, batch_size=None, sampler=order, num_workers=2))
    assert len(apart) == 5
    for one, other in zip(alone, apart, strict=True):
        assert all(map(torch.equal, one, other))


JOB = tiny.spec(
    "classification",
    "neutreno",
    data="imagefolder",
    arguments=ARGUMENTS | {"evaluate_every": 4},
    global_batch=4,
    steps=12,
)
"""20 pictures in batches of 4: five steps per epoch, the kill and the resumption in different ones."""


def finished(folder: Path, data: Path, job: JobSpec = JOB, **launch: Any) -> Result:
    code, log, result = tiny.finish(tiny.place(folder, job, data_root=str(data), **launch))
    assert code == 0 and result is not None, log
    return result


@pytest.fixture(scope="module")
def undisturbed(data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result]:
    folder = tmp_path_factory.mktemp("undisturbed")
    return folder, finished(folder, data)


@pytest.mark.heavy
def test_a_killed_job_resumes_bit_for_bit_with_other_reading_processes(
    data: Path, undisturbed: tuple[Path, Result], tmp_path: Path
) -> None:
    folder = tiny.place(tmp_path, JOB, data_root=str(data), checkpoint_s=0.0)
    process = tiny.start(folder)
    tiny.wait_for(lambda: any(folder.checkpoints.glob("step-*.pt.sha256")), process)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    result = finished(tmp_path, data, workers=2)
    assert "resumed" in {event["kind"] for _, event in read_events(folder.attempt(2).events)}
    assert result.numbers == undisturbed[1].numbers


@pytest.mark.heavy
def test_the_reported_numbers_are_the_raw_weights_and_the_averages_stand_beside(
    data: Path, undisturbed: tuple[Path, Result]
) -> None:
    folder, result = undisturbed
    found = task(data)
    model = tiny.built(found, "neutreno", lam=0.6)
    model.load_state_dict(torch.load(folder / "checkpoints" / "final.pt", weights_only=True)["model"])
    with torch.no_grad():
        raw = found.evaluate(model.eval(), "test", lambda: None)
    values = {name: metric["value"] for name, metric in result.numbers["metrics"].items()}
    assert values["loss"] == pytest.approx(raw["loss"], rel=1e-6)
    assert values["ema_loss"] != pytest.approx(raw["loss"], rel=1e-4)
    assert values.keys() == raw.keys() | {f"ema_{name}" for name in raw}
