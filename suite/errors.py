"""The exceptions that a user is meant to read; none of them is shown with a stack trace.

UnsmoothError             exit 1: something that the command needs is not there
├── UsageError            exit 2: the command line, a plan or a name in it is wrong; nothing was started
├── DataSetError          exit 2: a data set could not be fetched, unpacked or put in place; what was there is untouched
├── CatalogueError        exit 1: `python -m jobs.describe` could not say what there is
├── ImageError            exit 1: an image could not be built
├── ClusterError          exit 75: Ray, or SLURM, could not be started, reached or kept; the same command goes on later
└── RecordError           exit 1: the recording server refused or could not be reached
"""

import difflib
from collections.abc import Iterable


class UnsmoothError(Exception):
    """Whole messages, each saying what was wrong, what is allowed and what to do."""

    exit_code = 1

    def __init__(self, messages: str | Iterable[str]) -> None:
        self.messages = (messages,) if isinstance(messages, str) else tuple(messages)
        super().__init__("\n".join(self.messages))


class UsageError(UnsmoothError):
    """The user asked for something that does not exist or cannot be; all problems at once."""

    exit_code = 2


class DataSetError(UnsmoothError):
    """A data set could not be fetched, unpacked or put in place; what was there, and what arrived, is kept."""

    exit_code = 2


class CatalogueError(UnsmoothError):
    """The child process that describes variants and tasks failed."""


class ImageError(UnsmoothError):
    """An image could not be built; those that were built before it stay."""


class ClusterError(UnsmoothError):
    """Ray or SLURM could not be started, reached or kept; what is finished is safe."""

    exit_code = 75


class RecordError(UnsmoothError):
    """The record could not be written; what is on disk is untouched and can be recorded later."""


def unknown(kind: str, name: object, known: Iterable[str]) -> str:
    """`Unknown variant 'neutrino'. Did you mean 'neutreno'? Available: centered, neutreno.`"""
    names = sorted(known)
    close = difflib.get_close_matches(str(name), names, n=1)
    suggestion = f" Did you mean {close[0]!r}?" if close else ""
    return f"Unknown {kind} {name!r}.{suggestion} Available: {', '.join(names) or 'none'}."
