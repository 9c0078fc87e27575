"""Calling fairseq's commands inside this process: arguments in, its configuration out."""

import argparse
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from fairseq import options
from fairseq.dataclass.utils import convert_namespace_to_omegaconf


def configuration(parser: argparse.ArgumentParser, arguments: list[str]) -> Any:
    """The configuration that a command would make of `arguments`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Hydra's, about how fairseq calls it: a page of them each time
        found = options.parse_args_and_arch(parser, input_args=arguments)
        found.tpu = False  # fairseq takes --bf16 for the sign of one
        return convert_namespace_to_omegaconf(found)


@contextmanager
def replaced(module: ModuleType, **names: Any) -> Iterator[None]:
    """Inside the block `module` finds these under its own names: fairseq's commands take no callbacks."""
    before = {name: getattr(module, name) for name in names}
    for name, value in names.items():
        setattr(module, name, value)
    try:
        yield
    finally:
        for name, value in before.items():
            setattr(module, name, value)
