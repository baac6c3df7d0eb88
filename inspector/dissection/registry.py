"""Which protocol comes next, and why.

Strongest first: the user's "decode as" · what was negotiated · the parent's key · the content's signature · the port.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from inspector.core.field import FieldSpec
from inspector.core.protocol import Protocol, Sniff

PORT_TABLES = ("tcp.port", "udp.port")  # their key is the pair (source port, destination port)


class Choice(NamedTuple):
    """A protocol and the reason for choosing it, in words."""

    protocol: Protocol
    why: str


class Registry:
    """The protocols by name and by the tables that lead to them.

    decode_as: `{("tcp.port", 8080): "http"}`, the user's word, which wins over everything.
    """

    def __init__(self, protocols: Iterable[Protocol], decode_as: Mapping[tuple[str, Any], str] | None = None) -> None:
        self.protocols: dict[str, Protocol] = {}
        self.tables: dict[str, dict[Any, Protocol]] = {}
        self.sniffers: dict[str, list[Protocol]] = {"tcp.port": [], "udp.port": []}
        for protocol in protocols:
            self.protocols[protocol.name] = protocol
            for table, keys in protocol.keys.items():
                for key in keys:
                    self.tables.setdefault(table, {}).setdefault(key, protocol)
            if protocol.sniff is not None:
                self.sniffers["tcp.port" if protocol.parser is not None else "udp.port"].append(protocol)
        self.guessed = [protocol for protocol in self.protocols.values() if protocol.guess is not None]
        self.decode_as = {at: self.protocols[name] for at, name in (decode_as or {}).items()}

    def fields(self) -> dict[str, FieldSpec]:
        """Every declared field by name."""
        return {name: spec for protocol in self.protocols.values() for name, spec in protocol.fields.items()}

    def choose(self, table: str, key: Any, prefix: bytes, why: str = "") -> Choice | None:
        """The protocol of a payload that begins with `prefix`; None where nothing claims it."""
        if table in PORT_TABLES:
            return self._by_ports(table, key, prefix)
        forced = self.decode_as.get((table, key))
        if forced is not None:
            return Choice(forced, f"you asked to decode {table} {key} as {forced.title}")
        found = self.tables.get(table, {}).get(key)
        if found is None:
            return None
        if table == "ethertype" and isinstance(key, int):
            why = why or f"ethertype {key:#06x}"
        elif table == "link":
            why = why or f"the capture's link type {key} is {found.title}"
        return Choice(found, why or f"{table} is {key}")

    def _by_ports(self, table: str, ports: tuple[int, int], prefix: bytes) -> Choice | None:
        for port in ports:
            forced = self.decode_as.get((table, port))
            if forced is not None:
                return Choice(forced, f"you asked to decode {table} {port} as {forced.title}")
        for protocol in self.sniffers[table]:
            assert protocol.sniff is not None
            if protocol.sniff(prefix) is Sniff.YES:
                return Choice(protocol, f"the content has the signature of {protocol.title}")
        for port in sorted(ports):
            found = self.tables.get(table, {}).get(port)
            if found is not None and (found.sniff is None or found.sniff(prefix) is not Sniff.NO):  # the content wins
                return Choice(
                    found, f"{table.replace('.', ' ').upper().replace('PORT', 'port')} {port} is registered for {found.title}"
                )
        if table == "udp.port":
            for protocol in self.guessed:
                if protocol.guess is not None and protocol.guess(prefix):
                    return Choice(protocol, f"no port says what this is; it reads as {protocol.title}")
        return None
