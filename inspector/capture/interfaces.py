"""The interfaces of this machine: names, addresses, state, activity, and what their packets begin with."""

from __future__ import annotations

import socket
import struct
import sys
from contextlib import suppress
from dataclasses import dataclass
from fcntl import ioctl
from ipaddress import IPv6Address
from pathlib import Path

from inspector.core.errors import InspectError

ETHERNET, RAW, SLL2 = 1, 101, 276  # link types
ANY = "any"
ARPHRD_ETHER, ARPHRD_LOOPBACK, ARPHRD_NONE = 1, 772, 65534  # include/uapi/linux/if_arp.h
SIOCGIFFLAGS, SIOCGIFADDR, SIOCGIFHWADDR = 0x8913, 0x8915, 0x8927  # include/uapi/linux/sockios.h
IFF_UP, IFF_LOOPBACK = 1, 8
_RECEIVED, _DROPPED, _SENT = 1, 3, 9  # among the numbers in /proc/net/dev
_NONE = [0] * 16


@dataclass(frozen=True, slots=True)
class Link:
    """An interface. link_type: of its packets in a capture; cooked: the kernel takes the link header off, and one of Linux's
    own is put in its place; packets: sent and received so far, those of a loopback interface once."""

    name: str
    index: int
    link_type: int
    cooked: bool
    up: bool
    loopback: bool
    addresses: tuple[str, ...]
    packets: int


def links() -> list[Link]:
    """Every interface, in the kernel's order, `any` last."""
    if sys.platform != "linux":
        raise InspectError("live capture needs Linux; here, open a file or a pipe")
    found = [link(name) for _, name in sorted(socket.if_nameindex())]
    return [*found, Link(ANY, 0, SLL2, True, True, False, (), sum(one.packets for one in found))]


def link(name: str) -> Link:
    """One interface by its name. Raises InspectError where there is none."""
    if name == ANY:
        return links()[-1]
    try:
        index = socket.if_nametoindex(name)
    except (OSError, ValueError):
        known = ", ".join(other for _, other in sorted(socket.if_nameindex()))
        raise InspectError(f"-i {name}: no such interface; there are {known} and any") from None
    kind = struct.unpack_from("H", _ask(SIOCGIFHWADDR, name), 16)[0]
    flags = _flags(name)
    ethernet = kind in (ARPHRD_ETHER, ARPHRD_LOOPBACK)
    raw = kind == ARPHRD_NONE
    counters, loopback = _counters().get(name, _NONE), bool(flags & IFF_LOOPBACK)
    return Link(
        name, index, ETHERNET if ethernet else RAW if raw else SLL2, not (ethernet or raw), bool(flags & IFF_UP), loopback,
        _addresses(name), counters[_RECEIVED] + (0 if loopback else counters[_SENT]),
    )  # fmt: skip


def loopbacks() -> set[int]:
    """The indices of the loopback interfaces."""
    return {index for index, name in socket.if_nameindex() if _flags(name) & IFF_LOOPBACK}


def dropped(name: str) -> int:
    """Packets that the interface itself has dropped since it exists."""
    return _counters().get(name, _NONE)[_DROPPED]


def _counters() -> dict[str, list[int]]:
    """The numbers in /proc/net/dev, which has those of this network namespace (/sys need not)."""
    found = {}
    for line in Path("/proc/net/dev").read_text().splitlines()[2:]:
        name, _, numbers = line.partition(":")
        found[name.strip()] = [int(number) for number in numbers.split()]
    return found


def _ask(what: int, name: str) -> bytes:
    """What an ioctl says of an interface (netdevice(7)); zeros of one that has gone."""
    with suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        return ioctl(sock, what, struct.pack("256s", name.encode()[:15]))
    return bytes(256)


def _flags(name: str) -> int:
    return int(struct.unpack_from("H", _ask(SIOCGIFFLAGS, name), 16)[0])


def _addresses(name: str) -> tuple[str, ...]:
    found = []
    address = _ask(SIOCGIFADDR, name)[20:24]
    if any(address):
        found.append(socket.inet_ntoa(address))
    with suppress(OSError):
        for line in Path("/proc/net/if_inet6").read_text().splitlines():
            digits, *_, device = line.split()
            if device == name:
                found.append(str(IPv6Address(bytes.fromhex(digits))))
    return tuple(found)
