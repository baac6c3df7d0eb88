"""What one conversation teaches another, for the whole capture: names of addresses, from DNS answers.

Facts are only added, in packet order, and each knows the packet that taught it: what is said of packet N rests on packets
up to N alone, whatever was looked at before.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator

from inspector.core.layer import Layer

DNS_PORTS = (53, 5353, 5355)  # DNS, mDNS, LLMNR
DNS_PROTOCOLS = frozenset({"dns", "mdns", "llmnr"})


class Facts:
    """Names by address; an address may be renamed by a later answer."""

    def __init__(self) -> None:
        self._names: dict[bytes, tuple[list[int], list[str]]] = {}

    def learn(self, packet: int, layers: Iterable[Layer]) -> None:
        """What a packet's layers teach; called in packet order."""
        for layer in layers:
            if layer.protocol in DNS_PROTOCOLS and not layer.quoted:
                for address, name in answers(layer):
                    packets, names = self._names.setdefault(address, ([], []))
                    if not names or names[-1] != name:
                        packets.append(packet)
                        names.append(name)

    def name(self, address: bytes, packet: int) -> str:
        """The name of an address, as answered in `packet` or before; empty where nothing is known."""
        found = self._names.get(address)
        if found is None:
            return ""
        at = bisect_right(found[0], packet)
        return found[1][at - 1] if at else ""


def answers(layer: Layer) -> Iterator[tuple[bytes, str]]:
    """Addresses in a DNS message with the names that were asked for: behind aliases, the first alias (RFC 1034, 3.6.2)."""
    owner = ""
    aliases: dict[str, str] = {}
    found: list[tuple[bytes, str]] = []
    for field in layer.walk():
        if field.name == "dns.resp.name":
            owner = field.value
        elif field.name == "dns.cname" and field.value != owner:
            aliases.setdefault(field.value, owner)
        elif field.name in ("dns.a", "dns.aaaa") and owner:
            found.append((field.value, owner))
    for address, name in found:
        for _ in aliases:
            if name not in aliases:
                break
            name = aliases[name]
        yield address, name
