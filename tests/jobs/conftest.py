"""Third-party packages that tests import themselves need the repairs which importing `jobs` makes."""

import jobs  # noqa: F401
