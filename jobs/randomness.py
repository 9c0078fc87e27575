"""Random streams: seeding, and saving and restoring all of their states."""

import hashlib
import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy
import torch


def derive(seed: int, *place: int | str) -> int:
    """A 63-bit seed for one place, the same on every machine."""
    text = "/".join(map(str, (seed, *place)))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8]) >> 1


def seed_all(seed: int, *place: int | str) -> None:
    """Seed Python, NumPy and torch (all devices) for one place."""
    value = derive(seed, *place)
    random.seed(value)
    numpy.random.seed(value % 2**32)
    torch.manual_seed(value)


def generator(seed: int, *place: int | str) -> torch.Generator:
    """A CPU generator of its own, so that drawing from it leaves the global stream alone."""
    return torch.Generator().manual_seed(derive(seed, *place))


def state() -> dict[str, Any]:
    """The states of the global streams, the current device's among them, as plain types and tensors."""
    name, keys, position, has_gauss, gauss = numpy.random.get_state()
    return {
        "python": random.getstate(),
        "numpy": (name, torch.from_numpy(numpy.asarray(keys, "int64")), position, has_gauss, gauss),
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state() if torch.cuda.is_available() else None,
    }


def restore(saved: dict[str, Any]) -> None:
    """Undo everything drawn since `state()` returned `saved`."""
    random.setstate(saved["python"])
    name, keys, position, has_gauss, gauss = saved["numpy"]
    numpy.random.set_state((name, keys.numpy().astype("uint32"), position, has_gauss, gauss))
    torch.set_rng_state(saved["torch"])
    if saved["cuda"] is not None and torch.cuda.is_available():
        torch.cuda.set_rng_state(saved["cuda"])


@contextmanager
def lent(seed: int, *place: int | str) -> Iterator[None]:
    """Python's, NumPy's and torch's global CPU streams seeded for one place, and as before after the block.

    For libraries that take no generator. The streams belong to the whole process: read in parallel with
    data-loading processes, never with threads. CUDA's streams are left alone (torch.manual_seed would not).
    """
    python, arrays, tensors = random.getstate(), numpy.random.get_state(), torch.get_rng_state()
    value = derive(seed, *place)
    random.seed(value)
    numpy.random.seed(value % 2**32)
    torch.default_generator.manual_seed(value)
    try:
        yield
    finally:
        random.setstate(python)
        numpy.random.set_state(arrays)
        torch.set_rng_state(tensors)
