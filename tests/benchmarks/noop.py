"""A job's program that does nothing but sleep and say so; standard library without its site: it starts at once."""

import json
import sys
import time
from pathlib import Path

if __name__ == "__main__":
    folder, attempt, seconds = Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
    time.sleep(seconds)
    output = {"schema": 1, "id": folder.name, "attempt": attempt, "status": "skipped"}
    (folder / "attempts" / str(attempt) / "output.json").write_text(json.dumps(output))
