"""What fairseq's `--user-dir` points to: importing it registers the model and the losses."""

from jobs.fairseq import criteria, model  # noqa: F401
