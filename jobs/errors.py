"""What can go wrong inside a job, as classes that map onto the contract's failure classes.

JobError
├── VariantError   variant_error   the variant's file is broken or breaks the interface
├── DataError      data            the data are missing, incomplete or not what was announced
├── OutOfMemory    oom             the device or the machine has no memory left
├── DiskFull       disk            the runs folder's disk or quota is full
├── NotFinite      nan             the loss or a metric became NaN or infinite
├── PeerLost       killed          another process of the job is gone; what it died of counts
├── Preempted      preempted       the job was asked to stop; its state is on disk
└── Skipped        (no failure)    the variant says that it does not apply here, and why
"""

from typing import ClassVar


class JobError(Exception):
    """Root of the tree; `failure` is the contract's class, `advice` what its reader can do."""

    failure: ClassVar[str] = "error"
    advice: ClassVar[str] = "Read the log; if the suite is at fault, report it."


class VariantError(JobError):
    """The variant's file is broken or breaks the interface."""

    failure = "variant_error"
    advice = "Mend the variant's file, then run the same command with --retry-failed."


class DataError(JobError):
    """The data are missing, incomplete or not what was announced."""

    failure = "data"
    advice = "Mend the data or the settings that name them (README, 'Real data'), then run with --retry-failed."


class OutOfMemory(JobError):
    """The device or the machine has no memory left."""

    failure = "oom"
    advice = "Lower micro_batch or choose a device with more memory."


class DiskFull(JobError):
    """The runs folder's disk or quota is full."""

    failure = "disk"
    advice = "Free space under the runs folder, then run the same command again."


class NotFinite(JobError):
    """The loss or a metric became NaN or infinite."""

    failure = "nan"
    advice = "A finding: this variant diverges under these settings. Other arguments make another row."


class PeerLost(JobError):
    """Another process of the job is gone; what it died of counts."""

    failure = "killed"
    advice = "Start the same command again; the job resumes from its checkpoint."


class Preempted(JobError):
    """The job was asked to stop; its state is on disk."""

    failure = "preempted"
    advice = "Start the same command again; the job resumes from its checkpoint."


class Skipped(JobError):
    """The variant says that it does not apply here, and why."""

    advice = "Nothing to do; the variant declares that it does not apply here."


def expect_declared(needs: frozenset[str]) -> None:
    """Raise VariantError unless an N x N matrix is among the declared `needs`."""
    if "dense" not in needs:
        raise VariantError("a.dense() forms an N x N matrix; declare needs = frozenset({'dense'}) to use it.")
