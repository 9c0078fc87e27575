"""Sizes as people type them."""

import re

from suite.errors import UsageError

_UNITS = {"": 1, "k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40}


def of(text: str) -> int:
    """Bytes.

    >>> of("512m"), of("1.5G")
    (536870912, 1610612736)

    Raises:
        UsageError: it is not a positive number with one of the units, or none.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([kmgt]?)b?", text.strip().lower())
    size = int(float(found[1]) * _UNITS[found[2]]) if found else 0
    if size <= 0:
        raise UsageError(f"{text!r} is no size. Give a number and a unit, such as 512m or 16g.")
    return size
