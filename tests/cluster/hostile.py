"""Variants that mean harm, one for each thing that a container must not let through; `{}` in them is filled in."""

HEAD = """
import ctypes, os, socket, subprocess, sys, time
from pathlib import Path

import torch

from jobs.api import Variant


def harm():
{body}


class Hostile(Variant):
    def mix(self, a, v):
        harm()
        return a(v)
"""

BODIES = {
    "memory": "    hoard = [torch.ones(2**24) for _ in range(10**6)]",
    "memory_of_a_child": """
    subprocess.run([sys.executable, "-c", "x = [bytearray(2**26) for _ in range(10**6)]"])
    raise RuntimeError("its child is gone")""",
    "forks": """
    for _ in range(10**6):
        if os.fork() == 0:
            time.sleep(600)""",
    "network": "    socket.create_connection(('{address}', {port}), timeout=5)",
    "root": "    Path('/etc/harm').write_text('x')",
    "code": "    Path('/app/jobs/harm.py').write_text('x')",
    "data": "    Path('/data/harm').write_text('x')",
    "inputs": "    Path('/job/inputs/harm').write_text('x')",
    "shadow": "    raise RuntimeError(Path('/etc/shadow').read_text())",
    "outside": "    raise RuntimeError(Path('{secret}').read_text())",
    "rights": """
    os.chown('/job', 0, 0) if os.getuid() else None
    if ctypes.CDLL(None, use_errno=True).mount(b'none', b'/tmp', b'tmpfs', 0, None) != 0:
        raise PermissionError(ctypes.get_errno(), 'mount')""",
    "environment": "    raise RuntimeError(str(dict(os.environ)))",
    "tmp": """
    with Path('/tmp/harm').open('wb') as file:
        for _ in range(100):
            file.write(bytes(2**26))""",
    "log": """
    line = 'x' * 2**20
    for _ in range(2**10):
        print(line)
    time.sleep(600)""",
    "links": """
    log = Path('/job/attempts/1/log.txt')
    log.unlink()
    log.symlink_to('{secret}')
    Path('/job/attempts/1/ending.json').symlink_to('{victim}')
    os.mkfifo('/job/attempts/1/pipe')
    os._exit(3)""",
}


def variant(name: str, **filled: object) -> str:
    """The source of a variant that does what its name says."""
    return HEAD.replace("{body}", BODIES[name].format(**filled) if filled else BODIES[name])
