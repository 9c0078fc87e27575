"""The one door to mmcv, mmengine and mmsegmentation: every name that the segmentation task uses of them.

mmengine imports DeepSpeed wherever it is installed, for a strategy that is not used here; that costs four seconds
a process. It is hidden while mmengine is imported, which takes that for "not installed". It also imports yapf, which
keeps its grammar in the user's cache and writes that file in place: of jobs that start at once in a new home, one may
read half of it and die. It is kept from the cache, which saves twelve milliseconds.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def hidden(package: str) -> Iterator[None]:
    """Make `import package` fail inside the block, unless it has been imported before."""
    if package in sys.modules:
        yield
        return
    sys.modules[package] = None  # type: ignore[assignment]  # what the import system reads as "there is none"
    try:
        yield
    finally:
        del sys.modules[package]


@contextmanager
def uncached() -> Iterator[None]:
    """Let nothing imported inside the block find the user's cache."""
    before = os.environ.get("XDG_CACHE_HOME")
    os.environ["XDG_CACHE_HOME"] = os.devnull
    try:
        yield
    finally:
        if before is None:
            del os.environ["XDG_CACHE_HOME"]
        else:
            os.environ["XDG_CACHE_HOME"] = before


with uncached():
    import yapf  # noqa: F401  # before mmengine does

with hidden("deepspeed"):
    from mmcv.transforms import BaseTransform, LoadImageFromFile, RandomFlip, RandomResize, Resize, TestTimeAug
    from mmengine.config import ConfigDict
    from mmengine.dataset import DefaultSampler, pseudo_collate
    from mmengine.dist import broadcast, get_world_size
    from mmengine.hooks import Hook
    from mmengine.logging import MMLogger
    from mmengine.model import BaseModule
    from mmengine.optim import OptimWrapper
    from mmengine.registry import LOOPS
    from mmengine.runner import BaseLoop, Runner
    from mmengine.visualization import Visualizer
    from mmseg.datasets import ADE20KDataset, BaseSegDataset
    from mmseg.datasets.transforms import LoadAnnotations, PackSegInputs, PhotoMetricDistortion, RandomCrop
    from mmseg.evaluation import IoUMetric
    from mmseg.models import EncoderDecoder, SegTTAModel
    from mmseg.models.data_preprocessor import SegDataPreProcessor
    from mmseg.models.decode_heads import FCNHead, SegmenterMaskTransformerHead, UPerHead
    from mmseg.models.necks import MultiLevelNeck
    from mmseg.registry import DATASETS, MODELS, TRANSFORMS
    from mmseg.utils import add_prefix

MMLogger.get_instance("mmengine", log_level="ERROR")  # the default logger; it tells how every parameter starts

__all__ = [
    "add_prefix",
    "ADE20KDataset",
    "BaseLoop",
    "BaseModule",
    "BaseSegDataset",
    "BaseTransform",
    "broadcast",
    "ConfigDict",
    "DATASETS",
    "DefaultSampler",
    "EncoderDecoder",
    "FCNHead",
    "get_world_size",
    "Hook",
    "IoUMetric",
    "LoadAnnotations",
    "LoadImageFromFile",
    "LOOPS",
    "MODELS",
    "MultiLevelNeck",
    "OptimWrapper",
    "PackSegInputs",
    "PhotoMetricDistortion",
    "pseudo_collate",
    "RandomCrop",
    "RandomFlip",
    "RandomResize",
    "Resize",
    "Runner",
    "SegDataPreProcessor",
    "SegmenterMaskTransformerHead",
    "SegTTAModel",
    "TestTimeAug",
    "TRANSFORMS",
    "UPerHead",
    "Visualizer",
]
