"""`python -m jobs.check.alone NAME|FILE ...`: `python -m jobs.check`, without a network where the system allows that.

The process moves into a network namespace of its own in which only the loopback device is up, then becomes the check,
so that a variant file that calls home finds nobody. Linux only, and only for root or where user namespaces are allowed.
"""

import ctypes
import fcntl
import json
import os
import socket
import struct
import sys
from pathlib import Path

_NEW_USER, _NEW_NET = 0x10000000, 0x40000000
_GET_FLAGS, _SET_FLAGS, _UP = 0x8913, 0x8914, 0x1
"""Linux' numbers for unshare(2) and netdevice(7)."""


def leave_network() -> bool:
    """Whether this process now has a network of its own with nothing but loopback in it."""
    user, group = os.geteuid(), os.getegid()
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.unshare(_NEW_NET if user == 0 else _NEW_USER | _NEW_NET) != 0:
            return False
        if user != 0:
            _write("setgroups", "deny")
            _write("uid_map", f"{user} {user} 1")
            _write("gid_map", f"{group} {group} 1")
        _loopback_up()
    except (AttributeError, OSError):
        return False
    return True


def _write(name: str, text: str) -> None:
    Path("/proc/self", name).write_text(text, encoding="ascii")


def _loopback_up() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as device:
        asked = struct.pack("16sH14s", b"lo", 0, b"")
        flags = struct.unpack("16sH14s", fcntl.ioctl(device, _GET_FLAGS, asked))[1]
        fcntl.ioctl(device, _SET_FLAGS, struct.pack("16sH14s", b"lo", flags | _UP, b""))


if __name__ == "__main__":
    print(json.dumps({"network": not leave_network()}), flush=True)
    os.execv(sys.executable, [sys.executable, "-m", "jobs.check", *sys.argv[1:]])
