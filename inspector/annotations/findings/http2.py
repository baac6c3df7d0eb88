"""Findings about HTTP/2 and gRPC: windows that stay closed, streams and connections given up, calls that fail under 200."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from inspector.annotations.findings.finding import MS, Finding, Talk, milliseconds
from inspector.core.layer import Severity
from inspector.core.stream import Pdu
from inspector.core.text import counted, natural, printable
from inspector.protocols.grpc.grpc import STATUSES
from inspector.protocols.http2.names import ERRORS, Type

STALL_NS = 100 * MS  # a receiver that reads gives credit within a round trip; longer than most of these is a reader that waits
FRAME_HEAD = 9
NO_ERROR, CANCEL = 0, 8
ALL_STREAMS = (1 << 31) - 1  # what a GOAWAY names that only announces the end (RFC 9113, 6.8)
RESPONSES = "gRPC over HTTP/2, Responses"
CURES = {
    0: "nothing: the answer is complete, and the rest of the request is not wanted (RFC 9113, 8.1)",
    7: "ask again: the server has not looked at it",
    8: "nothing is wrong where the client no longer wanted it; else look at its deadlines",
    11: "the peer found this side too noisy: fewer pings, fewer resets",
    13: "ask again over HTTP/1.1: this resource needs it",
}


def flow_control(talk: Talk) -> Iterator[Finding]:
    """A window stays at nothing until its receiver gives credit, and the sender had more to send."""
    closed: dict[tuple[int, int], Pdu] = {}  # (who sends, stream or 0 for the connection) → what closed the window
    waiting: dict[tuple[int, int], tuple[Pdu, Pdu]] = {}  # … → what closed it, and what opened it
    stalls: list[tuple[int, int, int]] = []  # packet that opened it, packet that closed it, nanoseconds
    for pdu in talk.units:
        windows = pdu.info.get("windows") if pdu.protocol == "http2" else None
        if windows is None or not pdu.complete:
            continue
        head = pdu.span.buffer.read(pdu.span.start, pdu.span.start + FRAME_HEAD)
        kind, stream = head[3], int.from_bytes(head[5:9], "big") & 0x7FFFFFFF
        if kind == Type.DATA:
            for number, (_, after) in zip((0, stream), windows, strict=True):
                at = (pdu.direction, number)
                opened = waiting.pop(at, None)
                if opened is not None:
                    long = talk.time(opened[1].packet) - talk.time(opened[0].packet)
                    if long >= STALL_NS:
                        stalls.append((opened[1].packet, opened[0].packet, long))
                if after == 0:
                    closed[at] = pdu
        elif kind == Type.WINDOW_UPDATE:
            at = (1 - pdu.direction, stream)
            before = closed.pop(at, None)
            if before is not None:
                waiting[at] = (before, pdu)
    if stalls:
        total = sum(long for _, _, long in stalls)
        reader = talk.side(_from_client(talk, stalls[0][0]))
        cause = f"{reader} gives no credit: a window stayed at 0, {_times(len(stalls))}, {milliseconds(total)} in all"
        cure = f"let {reader} read what it gets, or allow a larger window (SETTINGS_INITIAL_WINDOW_SIZE)"
        packets = [packet for late, early, _ in stalls for packet in (late, early)]
        yield talk.finding("flow-control-stall", Severity.WARNING, packets, cause, cure, "RFC 9113, 5.2 and 6.9", len(stalls))


def _from_client(talk: Talk, packet: int) -> bool:
    """Did the client send this packet?"""
    found = talk.conversation.ranges.get(packet)
    return found is not None and found[0] == talk.conversation.tree.client


def given_up(talk: Talk) -> Iterator[Finding]:
    """GOAWAY and RST_STREAM: who gives up what, why, and what may be asked again."""
    resets: dict[tuple[bool, int], list[tuple[int, int]]] = {}
    said: set[tuple[bool, bytes]] = set()  # GOAWAYs that only repeat an earlier one
    for pdu in talk.units:
        if pdu.protocol != "http2" or pdu.kind != "frame" or not pdu.complete:
            continue
        raw = pdu.span.buffer.read(pdu.span.start, min(pdu.span.stop, pdu.span.start + FRAME_HEAD + 8))
        from_client = pdu.direction == pdu.node.client
        if raw[3] == Type.RST_STREAM and len(raw) >= FRAME_HEAD + 4:
            stream, code = int.from_bytes(raw[5:9], "big"), int.from_bytes(raw[9:13], "big")
            resets.setdefault((from_client, code), []).append((pdu.packet, stream))
        elif raw[3] == Type.GOAWAY and len(raw) >= FRAME_HEAD + 8 and (from_client, raw[9:17]) not in said:
            said.add((from_client, raw[9:17]))
            yield from _goaway(talk, pdu, from_client, raw)
    for (from_client, code), found in resets.items():
        name = ERRORS.get(code, f"error {code}")
        streams = ", ".join(str(stream) for _, stream in found[:5])
        cause = f"{talk.side(from_client)} gives up stream {streams}: {name} ({code})"
        severity = Severity.NOTE if code in (NO_ERROR, CANCEL) else Severity.ERROR
        cure = CURES.get(code, f"look into the log of {talk.side(from_client)}; the connection itself goes on")
        packets = [packet for packet, _ in found]
        yield talk.finding("rst-stream", severity, packets, cause, cure, "RFC 9113, 6.4 and 7", len(found))


def _goaway(talk: Talk, pdu: Pdu, from_client: bool, raw: bytes) -> Iterator[Finding]:
    last, code = int.from_bytes(raw[9:13], "big") & 0x7FFFFFFF, int.from_bytes(raw[13:17], "big")
    name = ERRORS.get(code, f"error {code}")
    cause = f"{talk.side(from_client)} ends the connection: GOAWAY, {name} ({code})"
    if not from_client:  # a client looks at the streams of the server, which has none unless it pushes
        cause += f", the last stream it looked at is {last}"
    if last == ALL_STREAMS and code == NO_ERROR:  # another GOAWAY names the last one, once no new stream is under way
        cause = f"{talk.side(from_client)} warns that the connection will end: GOAWAY, {name} ({code}), and no new streams"
    mine = [] if from_client else [one for one in talk.exchanges if one.substream > last]
    if mine:
        cause += f"; {counted(len(mine), 'request')} above it {'was' if len(mine) == 1 else 'were'} not looked at"
    severity = Severity.NOTE if code == NO_ERROR else Severity.ERROR
    safe = "requests on higher streams are safe to send again, the others only where they are idempotent"
    if from_client:
        safe = "nothing where the client has all it asked for; else look into its log"
    yield talk.finding("goaway", severity, [pdu.packet, *(one.first for one in mine)], cause, safe, "RFC 9113, 6.8")


def grpc(talk: Talk) -> Iterator[Finding]:
    """Calls whose HTTP status is 200 and whose gRPC status is another than OK, or is missing."""
    failed: dict[int, list[tuple[int, str]]] = {}
    missing: list[tuple[int, str]] = []
    for exchange in talk.exchanges:
        if exchange.protocol != "gRPC" or exchange.status != 200 or exchange.response is None:
            continue
        asked = _asked(exchange.units.response if exchange.units is not None else [])
        status = asked.get("grpc", {}).get("status")
        at = (exchange.response.complete, exchange.target)
        if status is None:
            if exchange.response.whole and not talk.connection.misses_packets:
                missing.append(at)
        elif code := natural(status):
            failed.setdefault(code, []).append(at)
    for code, found in failed.items():
        paths = ", ".join(dict.fromkeys(printable(path) for _, path in found[:3]))
        cause = f"{paths} fails with {STATUSES.get(code, 'an unknown code')} ({code}) although HTTP says 200"
        cure = "count calls by grpc-status, not by the HTTP status; grpc-message may say more"
        packets = [packet for packet, _ in found]
        yield talk.finding("grpc-status", Severity.ERROR, packets, cause, cure, RESPONSES, len(found))
    if missing:
        ends = "call ends" if len(missing) == 1 else "calls end"
        cause = f"{len(missing):,} {ends} without grpc-status: the client makes up one, mostly UNKNOWN or INTERNAL"
        cure = "a proxy that does not pass trailers on, or a server that is no gRPC server"
        packets = [packet for packet, _ in missing]
        yield talk.finding("grpc-status-missing", Severity.ERROR, packets, cause, cure, RESPONSES, len(missing))


def _asked(pdus: list[Pdu]) -> dict[str, Any]:
    return next((pdu.info["asked"] for pdu in pdus if pdu.info.get("asked") is not None), {})


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


TALK_RULES = (flow_control, given_up, grpc)
