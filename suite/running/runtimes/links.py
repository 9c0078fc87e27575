"""What a job may not leave in its folder: whoever reads it afterwards sees the whole machine, and the job did not.

A log that is a link to another file would be shown on the board, an ending.json that is one would be written through.
"""

import os
import stat
from pathlib import Path


def cut(folder: Path) -> list[Path]:
    """Remove links, pipes, sockets and devices below `folder`; call it when nobody writes there any more."""
    found = []
    for root, folders, files in os.walk(folder):
        for name in [*folders, *files]:
            path = Path(root) / name
            mode = path.lstat().st_mode
            if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
                path.unlink()
                found.append(path)
    return found
