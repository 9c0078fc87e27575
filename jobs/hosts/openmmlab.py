"""The one door to mmcv, mmengine and mmsegmentation: every name that the segmentation task uses of them.

mmengine imports DeepSpeed wherever it is installed, for a strategy that is not used here; that costs four seconds
a process. It is hidden while mmengine is imported, which takes that for "not installed".
"""

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


with hidden("deepspeed"):
    from mmcv.transforms import BaseTransform, LoadImageFromFile, RandomFlip, RandomResize, Resize
    from mmengine.config import ConfigDict
    from mmengine.dataset import DefaultSampler, pseudo_collate
    from mmengine.hooks import Hook
    from mmengine.model import BaseModule
    from mmengine.optim import OptimWrapper
    from mmengine.registry import LOOPS
    from mmengine.runner import BaseLoop, Runner
    from mmengine.visualization import Visualizer
    from mmseg.datasets import ADE20KDataset, BaseSegDataset
    from mmseg.datasets.transforms import LoadAnnotations, PackSegInputs, PhotoMetricDistortion, RandomCrop
    from mmseg.evaluation import IoUMetric
    from mmseg.models import EncoderDecoder
    from mmseg.models.data_preprocessor import SegDataPreProcessor
    from mmseg.models.decode_heads import SegmenterMaskTransformerHead
    from mmseg.registry import DATASETS, MODELS, TRANSFORMS

__all__ = [
    "ADE20KDataset",
    "BaseLoop",
    "BaseModule",
    "BaseSegDataset",
    "BaseTransform",
    "ConfigDict",
    "DATASETS",
    "DefaultSampler",
    "EncoderDecoder",
    "Hook",
    "IoUMetric",
    "LOOPS",
    "LoadAnnotations",
    "LoadImageFromFile",
    "MODELS",
    "OptimWrapper",
    "PackSegInputs",
    "PhotoMetricDistortion",
    "RandomCrop",
    "RandomFlip",
    "RandomResize",
    "Resize",
    "Runner",
    "SegDataPreProcessor",
    "SegmenterMaskTransformerHead",
    "TRANSFORMS",
    "Visualizer",
    "pseudo_collate",
]
