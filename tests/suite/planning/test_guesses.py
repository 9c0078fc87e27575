"""Guesses are of the right order: hours or years, one GPU or a hundred."""

import dataclasses
from typing import Any

import pytest

from jobs.contract import JobSpec
from suite.planning import guesses
from suite.planning.pace import Setup

CORE, GPU = Setup(), Setup(gpus=1, workers=16)
DEIT = {"model": "deit_tiny_patch16_224", "image_size": 224, "patch_size": 16, "width": 0, "depth": 0, "heads": 0}
WIKITEXT = {"depth": 16, "width": 128, "heads": 8, "ffn": 2048, "context": 256, "cutoffs": "20000,40000,200000"}
SEGMENTER = {"crop": 512, "patch": 16, "width": 192, "depth": 12, "short_side": 512}


def spec(task: str, data: str, arguments: dict[str, Any], **fields: Any) -> JobSpec:
    wanted: dict[str, Any] = {"split": "default", "variant": "softmax", "variant_arguments": {}, "seed": 0}
    wanted |= {"steps": 100, "global_batch": 8} | fields
    return JobSpec(task=task, data=data, arguments=arguments, **wanted)


IMAGENET = spec("classification", "imagenet", DEIT, global_batch=1024, precision="bfloat16")


@pytest.mark.parametrize(
    ("wanted", "setup", "lowest", "highest"),
    [
        (IMAGENET, CORE, 60, 600),  # 7.5 GFLOP a picture, tens of GFLOP/s
        (IMAGENET, GPU, 0.2, 2),  # reported: 2,500 pictures a second on an A100, as fast as they are loaded
        (spec("language", "wikitext-103", WIKITEXT, global_batch=96), GPU, 0.02, 1),
        (spec("segmentation", "ade20k", SEGMENTER, global_batch=8), GPU, 0.02, 0.5),
        (spec("graph", "cora", {"depth": 2, "width": 64}, global_batch=1), CORE, 0.005, 0.1),  # measured: 21 ms
        (spec("graph", "cora", {"depth": 64, "width": 64}, global_batch=1), CORE, 0.1, 1),  # measured: 241 ms
    ],
)
def test_a_step_of_a_known_recipe_takes_about_what_it_should(
    wanted: JobSpec, setup: Setup, lowest: float, highest: float
) -> None:
    assert lowest < guesses.pace(wanted, setup).step_s < highest


@pytest.mark.parametrize(
    ("wanted", "millions"),
    [
        (IMAGENET, 5.7),
        (dataclasses.replace(IMAGENET, arguments=DEIT | {"model": "deit_small_patch16_224"}), 22.1),
        (spec("language", "wikitext-103", WIKITEXT), 44.0),
    ],
)
def test_a_models_size_is_known_from_its_arguments(wanted: JobSpec, millions: float) -> None:
    assert guesses.pace(wanted, CORE).parameters == pytest.approx(millions * 1e6, rel=0.03)


def test_devices_share_a_batch_but_not_a_graph() -> None:
    images, graph = IMAGENET, spec("graph", "cora", {"depth": 8}, global_batch=1)
    two = Setup(processes=2)
    assert guesses.pace(images, two).step_s == pytest.approx(guesses.pace(images, CORE).step_s / 2, rel=0.01)
    assert guesses.pace(graph, two).step_s == guesses.pace(graph, CORE).step_s


def test_loading_goes_on_beside_the_arithmetic_only_where_there_are_processes_for_it() -> None:
    alone, fed = (guesses.pace(IMAGENET, Setup(gpus=1, workers=workers)).step_s for workers in (0, 16))
    assert alone > 1024 * guesses.DATA["imagenet"].load_s > fed * 5


def test_several_scales_take_longer_to_test_and_not_to_train() -> None:
    plain, scaled = (
        guesses.pace(spec("segmentation", "ade20k", SEGMENTER | {"multi_scale": many}), GPU) for many in (False, True)
    )
    assert (plain.step_s, plain.validate_s) == (scaled.step_s, scaled.validate_s)
    assert (scaled.finish_s or 0) > 10 * (plain.finish_s or 0) > 0


def test_smaller_micro_batches_start_more_kernels() -> None:
    whole, parts = (guesses.pace(IMAGENET, Setup(gpus=1, workers=16, micro_batch=size)) for size in (None, 8))
    assert parts.step_s > whole.step_s


def test_of_an_unknown_task_or_data_set_there_is_still_a_guess() -> None:
    assert guesses.pace(spec("weather", "sky", {}), CORE).step_s == guesses.OTHER_STEP_S
    for task in guesses.WORK:
        assert guesses.pace(spec(task, "new", {}), CORE).seconds(10) > 0
