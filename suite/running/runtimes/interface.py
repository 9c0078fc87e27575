"""The network interface by which a job's nodes reach each other: gloo and NCCL have to be told."""

import contextlib
import fcntl
import socket
import struct

from jobs.contract import Launch

_SIOCGIFADDR = 0x8915


def variables(launch: Launch) -> dict[str, str]:
    """What tells a job of several nodes; nothing where the interface is not found, or for a job of one node."""
    found = towards((launch.rendezvous or "").rpartition(":")[0]) if launch.nodes > 1 else None
    return {} if found is None else {"GLOO_SOCKET_IFNAME": found, "NCCL_SOCKET_IFNAME": found}


def towards(host: str) -> str | None:
    """The interface whose address this machine uses to reach `host`, an IPv4 address; nothing is sent."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((host, 9))
        mine = probe.getsockname()[0]
        return next((name for _, name in socket.if_nameindex() if _address(probe, name) == mine), None)
    return None


def _address(any_socket: socket.socket, interface: str) -> str | None:
    """The interface's IPv4 address, as netdevice(7) describes the request; None if it has none."""
    request = struct.pack("256s", interface.encode()[:15])
    with contextlib.suppress(OSError):
        return socket.inet_ntoa(fcntl.ioctl(any_socket.fileno(), _SIOCGIFADDR, request)[20:24])
    return None
