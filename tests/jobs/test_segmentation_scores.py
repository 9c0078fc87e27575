"""Segmentation's numbers: counted by hand, at one scale and several, by one process and two."""

import json
import multiprocessing
from pathlib import Path
from typing import Any

import cv2
import numpy
import pytest
import torch
from torch import distributed
from torch.nn.functional import interpolate

from jobs.openmmlab import pseudo_collate
from jobs.randomness import state
from jobs.tasks.segmentation import Segmentation
from tests.jobs.test_segmentation import TINY, streets

MEAN, DEVIATION = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
"""Of ImageNet's red, green and blue."""


def by_hand(predictions: Any, labels: Any, classes: int) -> dict[str, float]:
    """Counted pixel by pixel; classes that occur nowhere do not count."""
    both, told, true = ([0] * classes for _ in range(3))
    for predicted, label in zip(predictions.ravel().tolist(), labels.ravel().tolist(), strict=True):
        if label != 255:
            both[label] += predicted == label
            told[predicted] += 1
            true[label] += 1
    union = [told[k] + true[k] - both[k] for k in range(classes)]
    return {
        "mIoU": 100 * float(numpy.mean([both[k] / union[k] for k in range(classes) if union[k]])),
        "mAcc": 100 * float(numpy.mean([both[k] / true[k] for k in range(classes) if true[k]])),
        "aAcc": 100 * sum(both) / sum(true),
    }


def test_the_metrics_are_those_counted_by_hand(tmp_path: Path) -> None:
    task, model = streets(tmp_path)
    samples = [task._parts.test[index] for index in range(2)]
    labels = torch.stack([sample["data_samples"].gt_sem_seg.data[0] for sample in samples])
    model.eval()
    with torch.no_grad():
        (logits,), _ = model(model.data_preprocessor(pseudo_collate(samples))["inputs"])
    predictions = interpolate(logits, size=(16, 16), mode="bilinear", align_corners=False).argmax(1)
    found = task.evaluate(model, "test", lambda: None)
    assert set(found) == {metric.name for metric in task.metrics}
    assert found == pytest.approx(by_hand(predictions, labels, 11), abs=0.006)
    assert len(set(predictions.ravel().tolist())) > 1


def test_validation_and_test_measure_their_own_parts_with_a_beat_per_batch(tmp_path: Path) -> None:
    task, model = streets(tmp_path)
    beats: list[int] = []
    values = [task.evaluate(model, part, lambda: beats.append(1)) for part in ("val", "test", "val")]  # type: ignore[arg-type]
    assert values[0] == values[2] != values[1]
    assert len(beats) == 3


def seen(picture: Any, scale: float, mirrored: bool) -> Any:
    """A picture (height, width, 3) as multi-scale evaluation shows it: resized, enlarged to 16 pixels, mirrored."""
    side = round(16 * scale)
    for target in [side, 16] if side < 16 else [side]:
        height, width = (int(size * target / min(picture.shape[:2]) + 0.5) for size in picture.shape[:2])
        picture = cv2.resize(picture, (width, height), interpolation=cv2.INTER_LINEAR)
    return picture[:, ::-1].copy() if mirrored else picture


def averaged(model: Any, picture: Any) -> Any:
    """Classes (height, width) of the probabilities' mean over scales and mirror images."""
    total: Any = 0
    for scale in (0.5, 0.75, 1.0, 1.25, 1.5, 1.75):
        for mirrored in (False, True):
            shown = (seen(picture, scale, mirrored)[..., ::-1] - MEAN) / DEVIATION  # blue, green, red as read
            inputs = torch.from_numpy(shown).permute(2, 0, 1)[None].float()
            sizes = {"ori_shape": inputs.shape[2:], "img_shape": inputs.shape[2:]}
            logits = model.slide_inference(inputs, [sizes])
            logits = logits.flip(-1) if mirrored else logits
            total = total + interpolate(logits, size=picture.shape[:2], mode="bilinear").softmax(1)
    return total.argmax(1)[0]


def test_the_multi_scale_metric_is_that_of_probabilities_averaged_by_hand(tmp_path: Path) -> None:
    task, model = streets(tmp_path, side=24, multi_scale=True)
    model.eval()
    with torch.no_grad():
        found = task.evaluate(model, "test", lambda: None)
        files = sorted((tmp_path / "CamVid" / "test").iterdir())
        predictions = torch.stack([averaged(model, cv2.imread(str(file))) for file in files])
    labels = torch.stack([task._parts.test[index]["data_samples"].gt_sem_seg.data[0] for index in range(2)])
    assert set(found) == {metric.name for metric in task.metrics} == {"mIoU", "mAcc", "aAcc", "mIoU_ms"}
    assert found["mIoU_ms"] == pytest.approx(by_hand(predictions, labels, 11)["mIoU"], abs=0.006)
    assert found["mIoU_ms"] != found["mIoU"]


def test_only_the_test_part_is_measured_at_several_scales_and_nothing_random_is_spent(tmp_path: Path) -> None:
    task, model = streets(tmp_path, multi_scale=True)
    assert "mIoU_ms" not in task.evaluate(model, "val", lambda: None)
    assert "mIoU_ms" not in {metric.name for metric in Segmentation(**TINY).metrics}
    before = state()
    task.evaluate(model, "test", lambda: None)
    assert torch.equal(before["numpy"][1], state()["numpy"][1])


def scores(task: Segmentation, model: Any) -> list[dict[str, float]]:
    with torch.no_grad():
        return [task.evaluate(model, part, lambda: None) for part in ("val", "test")]  # type: ignore[arg-type]


def share(rank: int, task: Segmentation, model: Any, folder: Path) -> None:
    """One of two processes; the second one's running statistics have gone astray."""
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
    for name, buffer in model.named_buffers():
        if rank and name.endswith("running_mean"):
            buffer.add_(100.0)
    (folder / f"{rank}.json").write_text(json.dumps(scores(task, model)))
    distributed.destroy_process_group()


def test_two_processes_count_every_picture_once_with_the_first_ones_statistics(tmp_path: Path) -> None:
    """Three pictures a part: the sampler deals the first one to both processes, so that their shares are equal."""
    task, model = streets(tmp_path, names="abc", model="upernet", multi_scale=True)
    model.eval()
    context = multiprocessing.get_context("fork")  # children that need no imports
    children = [context.Process(target=share, args=(rank, task, model, tmp_path)) for rank in range(2)]
    for child in children:
        child.start()
    for child in children:
        child.join(timeout=120)
        child.kill()
    expected = scores(task, model)
    assert [json.loads((tmp_path / f"{rank}.json").read_text()) for rank in range(2)] == [expected] * 2
    assert expected[1]["mIoU_ms"] != expected[1]["mIoU"]
