"""What needs fairseq is collected where fairseq is: in an environment of its own."""

from importlib.util import find_spec

collect_ignore_glob = [] if find_spec("fairseq") else ["jobs/fairseq/*", "tests/jobs/fairseq/inside/*"]
