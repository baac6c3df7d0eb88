"""What an IP address says by itself: the blocks that are set aside (IANA, special-purpose address registries)."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import NamedTuple


class Block(NamedTuple):
    """Addresses set aside. words: what such an address is, after "is"."""

    network: IPv4Network | IPv6Network
    words: str
    reference: str


def _block(network: str, words: str, reference: str) -> Block:
    return Block(ip_network(network), words, reference)


_PRIVATE = "private: it means something inside its own network only, and NAT replaces it on the way out"
_DOCUMENTATION = "set aside for documentation: no host on the Internet has it"
# The first that holds the address counts: the narrower ones stand first.
BLOCKS = (
    _block("0.0.0.0/32", "no address yet: the sender does not have one", "RFC 1122, 3.2.1.3"),
    _block("255.255.255.255/32", "everybody on this link, and nobody behind a router", "RFC 919, 7"),
    _block("127.0.0.0/8", "this host itself: it never leaves the machine", "RFC 1122, 3.2.1.3"),
    _block("10.0.0.0/8", _PRIVATE, "RFC 1918, 3"),
    _block("172.16.0.0/12", _PRIVATE, "RFC 1918, 3"),
    _block("192.168.0.0/16", _PRIVATE, "RFC 1918, 3"),
    _block("100.64.0.0/10", "shared space between a carrier's NAT and its customers", "RFC 6598, 4"),
    _block("169.254.0.0/16", "link-local: the host chose it by itself, and no router forwards it", "RFC 3927, 2.7"),
    _block("192.0.2.0/24", _DOCUMENTATION, "RFC 5737, 3"),
    _block("198.51.100.0/24", _DOCUMENTATION, "RFC 5737, 3"),
    _block("203.0.113.0/24", _DOCUMENTATION, "RFC 5737, 3"),
    _block("198.18.0.0/15", "set aside for measuring devices against one another", "RFC 2544, C.2.2"),
    _block("224.0.0.0/24", "a group on this link: routers do not forward it, whatever its time to live", "RFC 5771, 4"),
    _block("224.0.0.0/4", "a group: whoever has joined it gets a copy", "RFC 1112, 4"),
    _block("::/128", "no address yet: the sender does not have one", "RFC 4291, 2.5.2"),
    _block("::1/128", "this host itself: it never leaves the machine", "RFC 4291, 2.5.3"),
    _block("2001:db8::/32", _DOCUMENTATION, "RFC 3849, 2"),
    _block("fe80::/10", "link-local: every interface has one, and no router forwards it", "RFC 4291, 2.1 and 2.5.6"),
    _block("fc00::/7", "a unique local address: for use inside a site, and not routed on the Internet", "RFC 4193, 3 and 4"),
    _block("ff02::1/128", "every node on this link", "RFC 4291, 2.7.1"),
    _block("ff02::2/128", "every router on this link", "RFC 4291, 2.7.1"),
    _block(
        "ff02::1:ff00:0/104",
        "a solicited-node group: nearly only the host whose address ends in the same 24 bits listens to it",
        "RFC 4291, 2.7.1",
    ),
    _block("ff02::/16", "a group on this link: no router forwards it", "RFC 4291, 2.7"),
    _block("ff00::/8", "a group: whoever has joined it gets a copy", "RFC 4291, 2.7"),
)


def block(address: bytes) -> Block | None:
    """The block that an address of 4 or 16 bytes belongs to; None for one that is like any other."""
    found = ip_address(bytes(address))
    return next((one for one in BLOCKS if one.network.version == found.version and found in one.network), None)


# Values that hosts commonly begin with; 64 is the one that is recommended (IANA, IP Parameters).
STARTS = (64, 128, 255)


def hops(left: int) -> tuple[int, int]:
    """The usual start that is nearest above a time to live or hop limit, and the routers passed if it was that."""
    start = next(start for start in STARTS if left <= start)
    return start, start - left


def about(ends: dict[str, bytes]) -> tuple[str, str]:
    """What is remarkable about addresses: a sentence and its reference. ends: `sender`, `receiver` → address."""
    found = {who: known for who, address in ends.items() if (known := block(address)) is not None}
    if not found:
        return "", ""
    blocks = list(found.values())
    if len(found) == len(ends) and len({known.words for known in blocks}) == 1:
        what, _, why = blocks[0].words.partition(": ")
        return f"Both addresses are of one kind, {what}{': ' + why if why else ''}.", blocks[0].reference
    said = "; ".join(f"the {who}'s address is {known.words}" for who, known in found.items())
    return f"{said[0].upper()}{said[1:]}.", "; ".join(dict.fromkeys(known.reference for known in blocks))
