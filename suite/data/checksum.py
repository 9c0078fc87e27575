"""Checksums with the name of their algorithm: publishers still use several."""

import dataclasses
import hashlib
import re
from pathlib import Path
from typing import Self

_DIGITS = {"sha256": 64, "sha1": 40, "md5": 32}


@dataclasses.dataclass(frozen=True)
class Checksum:
    """`sha256:9e9f...`; MD5 and SHA-1 tell damage, not malice."""

    algorithm: str
    digits: str

    @classmethod
    def of(cls, text: str) -> Self:
        """From `algorithm:hexadecimal`, or 64 hexadecimal digits alone.

        >>> str(Checksum.of("MD5:D41D8CD98F00B204E9800998ECF8427E"))
        'md5:d41d8cd98f00b204e9800998ecf8427e'

        Raises:
            ValueError: it is neither.
        """
        algorithm, _, digits = text.lower().strip().rpartition(":")
        algorithm = algorithm or "sha256"
        if not re.fullmatch(rf"[0-9a-f]{{{_DIGITS.get(algorithm, 0)}}}", digits) or algorithm not in _DIGITS:
            raise ValueError(
                f"{text!r} is no checksum: give 64 hexadecimal digits, or name the algorithm: "
                f"{', '.join(_DIGITS)} and a colon before the digits."
            )
        return cls(algorithm, digits)

    def __str__(self) -> str:
        return f"{self.algorithm}:{self.digits}"

    def found(self, path: Path) -> Self:
        """The same kind of checksum of a file."""
        with path.open("rb") as file:
            return dataclasses.replace(self, digits=hashlib.file_digest(file, self.algorithm).hexdigest())


def sha256(path: Path) -> Checksum:
    """The SHA-256 of a file's bytes."""
    return Checksum("sha256", "").found(path)
