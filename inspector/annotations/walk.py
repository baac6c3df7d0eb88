"""The OSI walk: a message down the sender's stack and up the receiver's, what each layer adds, who looks at it on the way."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from inspector.annotations.card_texts.links import CAPTURE_HEADERS
from inspector.annotations.osi import NAMES
from inspector.core.layer import Layer
from inspector.core.span import Frame, Span, parents, trace
from inspector.core.text import counted
from inspector.dissection.engine import Dissection
from inspector.protocols.tls.wire import Content

CARRIED = (4, 3, 2)  # the layers that every frame has of its own: their headers are counted frame by frame
INNER = ("tls.record.content_type", "tls.record.padding")  # of a record, and yet inside of what is enciphered (RFC 8446, 5.2)
NOBODY_LISTENS = bytes(6)  # the hardware address of the loopback interface
LOOKS = {
    5: "the ends; on the way a proxy that ends TLS, and for the name in a ClientHello also firewalls",
    3: "every router: the destination, and the hop count, which it lowers by one",
    2: "every switch of this link: the destination; the header is replaced at each router",
    1: "cables, radios, repeaters: they see signals and no bytes",
}
LOCAL = {
    7: "nobody outside this host",
    6: "nobody outside this host",
    4: "nobody outside this host",
    3: "no router: it never leaves this host",
    2: "no switch: the loopback interface has no link",
    1: "nobody: it never leaves this host's memory",
}
CHECKS = {
    7: "the program reads the message",
    5: "the receiver finds the session that it belongs to, or takes the handshake a step further",
    4: "the receiver finds the process that it is for; the checksum is checked, where there is one",
    3: "the destination is the receiver itself, or a group that it belongs to; a field says which protocol is next",
    2: "the frame is for this hardware address, for a group, or for everybody; its type says which protocol is next",
    1: "signals become bits again",
}


class Way(NamedTuple):
    """How a message travels. enciphered: by TLS; sealed: and its keys are not known; local: by the loopback interface."""

    enciphered: bool
    sealed: bool
    local: bool


def way(top: Layer, carrying: list[Layer]) -> Way:
    """How the highest message travels, by the layers that carry it."""
    records = [layer for layer in carrying if layer.protocol == "tls"]
    opened = any(layer.find("tls.record.secret") is not None for layer in records)
    sealed = top.protocol == "tls" and not opened and top.find("tls.app_data") is not None
    ends = [(layer.value("eth.src"), layer.value("eth.dst")) for layer in carrying if layer.protocol == "eth"]
    return Way(opened or sealed, sealed, (NOBODY_LISTENS, NOBODY_LISTENS) in ends)


def looks(osi: int, protocols: set[str], by: Way) -> str:
    """Who reads a layer on the way; empty where the layer has nothing."""
    if not protocols and osi > 1 and not (by.sealed and osi == 7):
        return ""
    if by.local and osi in LOCAL:
        return LOCAL[osi]
    if osi == 7 and by.enciphered:
        return "reverse proxies, gateways and CDNs, where they end TLS; nobody else on the way"
    if osi == 7:
        return "whoever is on the way and wants to, for it is in clear; proxies and gateways also act on it"
    if osi == 6 and by.enciphered:
        return "only who has the keys: the ends, and a proxy that ends TLS"
    if osi == 6:
        return "whoever is on the way and wants to: nothing of it is encrypted"
    if osi == 4:
        flags = ", and the flags" if "tcp" in protocols else ""
        return f"layer-4 balancers, NAT and firewalls: the ports, which they may change{flags}"
    if osi == 2 and protocols <= set(CAPTURE_HEADERS):
        return "nobody: the capturing system put it in front"
    return LOOKS[osi]


def checks(osi: int, protocols: set[str], by: Way) -> str:
    """What the receiver does at a layer."""
    if osi == 7 and by.sealed:
        return "the program reads what was decrypted"
    if osi == 1 and by.local:
        return "nothing to do: there were no signals"
    if not protocols and osi > 1:
        return "nothing to do"
    if osi == 6:
        first = "decrypts and verifies it, then undoes" if by.enciphered else "undoes"
        return f"the receiver {first} what was coded: records, compression, chunks, the form of the text or data"
    if osi == 4 and "tcp" in protocols:
        return "the port leads to the process; the sequence number puts the bytes in their place; the checksum is checked"
    return CHECKS[osi]


class Stage(NamedTuple):
    """One layer on the way down, and the same on the way up.

    added: bytes of its own, over all frames that carried the message; what: the protocols that stand there; up: what the
    receiver does there; looks: who reads it on the way, "" where there is nothing; spans: where its own bytes lie.
    """

    osi: int
    name: str
    what: str
    added: int
    up: str
    looks: str
    spans: tuple[Span, ...] = ()


class Walk(NamedTuple):
    """packets: that carried the message; content: bytes of the message itself, without any overhead; wire: bytes of all of
    its frames; lies: bytes that do not mean what they say, and why."""

    packet: int
    packets: tuple[int, ...]
    message: str
    content: int
    wire: int
    stages: tuple[Stage, ...]
    lies: tuple[str, ...]


class Walked(Protocol):
    """What the walk asks of a session."""

    def dissect(self, number: int) -> Dissection: ...
    def layers(self, number: int) -> Dissection: ...


def walk(capture: Walked, number: int) -> Walk:
    """The walk of the highest message that a packet completes, or of the packet where it completes none."""
    result = capture.dissect(number)
    own = [layer for layer in result.layers if not layer.quoted]
    top = max(own, key=lambda layer: (layer.osi >= 5, own.index(layer)), default=None)
    if top is None:
        return Walk(number, (number,), "", 0, result.packet.wire_length, (), ())
    packets = sorted({span.buffer.number for span in trace(top.span) if isinstance(span.buffer, Frame)} or {number})
    frames = {packet: capture.layers(packet) for packet in packets}
    wire = sum(frame.packet.wire_length for frame in frames.values())
    carrying = [layer for layer in own if _carries(layer, top)]
    by = way(top, [*carrying, *(layer for frame in frames.values() for layer in frame.layers if layer.osi in CARRIED)])
    stages = tuple(_stage(osi, top, carrying, list(frames.values()), by) for osi in range(7, 0, -1))
    return Walk(number, tuple(packets), f"{top.title}: {top.summary}", top.span.size, wire, stages, tuple(_lies(own)))


def _carries(layer: Layer, top: Layer) -> bool:
    """The layer is the message, or bytes of it lie in frames that the message lies in."""
    if layer is top:
        return True
    places = [(span.buffer.id, span.start, span.stop) for span in trace(layer.span)]
    return any(
        place == span.buffer.id and start < span.stop and stop > span.start
        for span in trace(top.span)
        for place, start, stop in places
    )


def _stage(osi: int, top: Layer, layers: list[Layer], frames: list[Dissection], by: Way) -> Stage:
    spans: list[Span] = []
    if osi in CARRIED:
        found = [layer for frame in frames for layer in frame.layers if layer.osi == osi and not layer.quoted]
        spans = [span for layer in found if layer.protocol != top.protocol for span in layer.own_spans()]
        added = sum(span.size for span in spans)
    else:
        found = [layer for layer in layers if layer.osi == osi]
        added = 0
        for layer in found:
            if layer is not top:
                own, count = _added(layer, layers)
                spans += own
                added += count
    titles = list(dict.fromkeys(layer.title for layer in found))
    if osi == 1:
        bits = sum(frame.packet.wire_length for frame in frames) * 8
        what = f"{bits:,} bits in {counted(len(frames), 'frame')}"
    else:
        what = ", ".join(titles) or "nothing of its own here"
        if osi == 7 and by.sealed:
            what = "encrypted, and not to be read here"
    protocols = {layer.protocol for layer in found}
    return Stage(osi, NAMES[osi], what, added, checks(osi, protocols, by), looks(osi, protocols, by), tuple(spans))


def _added(layer: Layer, layers: list[Layer]) -> tuple[list[Span], int]:
    """A layer's own bytes, less those that are other layers' bytes in another shape (joined, decrypted, decompressed): where
    they lie, and how many it adds. The number is negative where compression saves more than it costs."""
    copies: list[tuple[int, int]] = []
    made: dict[tuple[str, int], int] = {}
    todo = [other.span for other in layers if other is not layer and other.span.buffer != layer.span.buffer]
    while todo:
        span = todo.pop()
        for origin in span.buffer.origins(span.start, span.stop):
            source = origin.source
            if source.buffer != layer.span.buffer:
                continue
            low, high = max(span.start, origin.start) - origin.start, min(span.stop, origin.stop) - origin.start
            if not (source.start < layer.span.stop and source.stop > layer.span.start):
                continue
            if origin.copied:
                copies.append((source.start + low, source.start + high))
            else:
                made[span.buffer.id, origin.start] = origin.stop - origin.start
        todo.extend(parents(span))
    left = _without(layer.own_spans(), sorted(copies))
    inner = sum(field.span.size for field in layer.walk() if field.name in INNER and field.span.buffer != layer.span.buffer)
    return left, sum(span.size for span in left) + inner - sum(made.values())


def _without(spans: list[Span], ranges: list[tuple[int, int]]) -> list[Span]:
    """What is left of spans of one buffer without these ranges, which are in order."""
    found: list[Span] = []
    for span in spans:
        at = span.start
        for start, stop in ranges:
            if stop > at and start < span.stop:
                if start > at:
                    found.append(Span(span.buffer, at, start))
                at = max(at, stop)
        if at < span.stop:
            found.append(Span(span.buffer, at, span.stop))
    return found


def _lies(layers: list[Layer]) -> list[str]:
    """Bytes that say something else than what is so, because boxes on the way would not pass the truth (RFC 8446, D.4)."""
    found = []
    hidden = [layer for layer in layers if layer.find("tls.record.opaque_type") is not None]
    if hidden:
        version = hidden[0].find("tls.record.version")
        said = version.text if version is not None else "TLS 1.2"
        found.append(f"the record says {said} and application data, whatever is inside: it is TLS 1.3 (RFC 8446, 5.2)")
    for layer in layers:
        chosen = layer.find("tls.handshake.extensions.supported_version")
        old = layer.find("tls.handshake.version")
        if chosen is not None and old is not None and chosen.value != old.value and layer.protocol == "tls.handshake":
            what = "the offer" if layer.value("tls.handshake.type") == 1 else "the choice"
            found.append(
                f"the hello's version field says {old.text}; {what} stands in the extension supported_versions: {chosen.text}"
                " (RFC 8446, 4.2.1)"
            )
        elif layer.value("tls.record.content_type") == Content.CHANGE_CIPHER_SPEC and (hidden or _speaks13(layers)):
            found.append(
                "ChangeCipherSpec changes nothing in TLS 1.3: it makes the handshake look like TLS 1.2 (RFC 8446, D.4)"
            )
    return list(dict.fromkeys(found))


def _speaks13(layers: list[Layer]) -> bool:
    versions = [layer.value("tls.handshake.extensions.supported_version") for layer in layers]
    return any(
        layer.value("tls.handshake.type") == 2 and version == 0x0304 for layer, version in zip(layers, versions, strict=True)
    )


def lines(found: Walk) -> list[str]:
    """The walk as text."""
    packets = ", ".join(map(str, found.packets[:8])) + (" …" if len(found.packets) > 8 else "")
    head = found.message or "nothing here can be read"
    word = "packet" if len(found.packets) == 1 else "packets"
    carried = f"{found.content:,} bytes by itself; carried by {word} {packets}: {found.wire:,} bytes on the wire"
    out = [head, carried, "", "Down the sender's stack"]
    for stage in found.stages:
        added = f"{stage.added:+,} bytes" if stage.added else ""
        out.append(f"  {stage.osi} {stage.name:12} {added:>14}  {stage.what}")
    out += ["", "On the way, and up the receiver's stack"]
    for stage in reversed(found.stages):
        out.append(f"  {stage.osi} {stage.name:12} {stage.up}")
        if stage.looks:
            out.append(f"    {'':12} looked at by: {stage.looks}")
    below = sum(stage.added for stage in found.stages if stage.osi in CARRIED)
    if found.wire:
        out += ["", f"Layers 2 to 4 take {below:,} of {found.wire:,} bytes: {below / found.wire:.0%}."]
    out += [f"What is written there and not so: {lie}." for lie in found.lies]
    return out
