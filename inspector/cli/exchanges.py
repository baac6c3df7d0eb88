"""`osi-inspect exchanges`: each request with its response, its phases, and the events and messages inside."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Any

import typer

from inspector.cli.common import (
    AsJson,
    DecodeAs,
    Files,
    Keylog,
    Passing,
    Proto,
    WithSecrets,
    opened,
    passing,
    seconds,
    told,
    write_lines,
)
from inspector.core.text import printable
from inspector.export.redaction import url

if TYPE_CHECKING:
    from inspector.session import Session
    from inspector.streams.exchanges import Exchange, Item, Part

NOTICED = 100_000_000  # ns that people notice

def command(
    files: Files,
    filter_: Passing = None,
    as_json: AsJson = False,
    as_har: Annotated[bool, typer.Option("--har", help="Print an HTTP Archive (HAR 1.2).")] = False,
    secrets: WithSecrets = False,
    keylog: Keylog = None,
    rules: DecodeAs = None,
    proto: Proto = None,
) -> None:
    """List requests with their responses, events and messages."""
    with opened(files, keylog, rules, proto) as session:
        found = _chosen(session, filter_)
        if as_har:
            from inspector.export.har import lines

            for line in lines(session, found, secrets):
                print(line)
        elif as_json:
            write_lines(json.dumps(as_object(session, exchange, secrets)) for exchange in found)
        elif found:
            write_lines(as_text(session, found, secrets))
        else:
            write_lines(["no HTTP exchange in this capture" if filter_ is None else "no exchange has a packet that passes"])


def _chosen(session: Session, text: str | None) -> list[Exchange]:
    """All exchanges, or those of which a packet passes the filter."""
    wanted = passing(session, text)
    found = session.exchanges()
    if wanted is None:
        return found
    numbers = set(wanted.matches(session).tolist())
    return [exchange for exchange in found if numbers.intersection(_packets(exchange))]


def _packets(exchange: Exchange) -> set[int]:
    parts = [part for part in (exchange.request, exchange.response) if part is not None]
    return {packet for part in parts for packet in (part.first, part.last, part.complete)} | {
        item.complete for item in exchange.items
    }


def as_object(session: Session, exchange: Exchange, secrets: bool = False) -> dict[str, Any]:
    """An exchange for programs: times are seconds (since 1970 as texts, so that no digit is lost), packets are numbers."""
    from inspector.core.field import endpoint_text
    from inspector.export.messages import grpc_status, item_text

    flows = session.index.flows
    client, server = flows.addresses(exchange.flow)
    return {
        "number": exchange.number,
        "protocol": exchange.protocol,
        "stream": exchange.stream,
        "substream": exchange.substream if exchange.substream >= 0 else None,
        "client": endpoint_text(client, flows.sport(exchange.flow)),
        "server": endpoint_text(server, flows.dport(exchange.flow)),
        "method": printable(exchange.method),
        "url": _url(exchange, secrets),
        "status": exchange.status or None,
        "reason": printable(exchange.reason),
        "media_type": printable(exchange.media),
        "grpc_status": grpc_status(session, exchange),
        "begun": seconds(exchange.begun),
        "duration": (exchange.ended - exchange.begun) / 1e9,
        "complete": exchange.complete,
        "phases": {name: value / 1e9 if value >= 0 else None for name, value in exchange.phases._asdict().items()},
        "request": _part(session, exchange.request),
        "response": _part(session, exchange.response),
        "items": [
            {
                "kind": item.pdu.protocol,
                "from": "client" if item.from_client else "server",
                "first": item.first,
                "last": item.last,
                "packet": item.complete,
                "time": (session.time_of(item.complete) - exchange.begun) / 1e9,
                "size": item.pdu.span.size,
                "complete": item.pdu.complete,
                "text": told(printable(item_text(session, item)), secrets),
            }
            for item in exchange.items
        ],
    }


def _part(session: Session, part: Part | None) -> dict[str, Any] | None:
    if part is None:
        return None
    return {
        "first": part.first,
        "last": part.last,
        "packet": part.complete,
        "first_byte": seconds(session.time_of(part.first)),
        "last_byte": seconds(session.time_of(part.last)),
        "completed": seconds(session.time_of(part.complete)),
        "head": part.head - part.start,
        "size": part.size,
        "complete": part.whole,
    }


def as_text(session: Session, exchanges: Iterable[Exchange], secrets: bool = False) -> Iterator[str]:
    """A line an exchange; below it where its time went, unless it was quick and opened no connection, and what is inside."""
    base = int(session.index.column("time_ns")[0])
    for exchange in exchanges:
        phases, lasted = exchange.phases, exchange.ended - exchange.begun
        size = exchange.response.size if exchange.response is not None else 0
        request = f"{printable(exchange.method):7} {_url(exchange, secrets) or '(the request is not in this capture)'}"
        whole = "" if exchange.complete or not exchange.status else "  not whole"
        substream = f".{exchange.substream}" if exchange.substream >= 0 else ""
        yield (
            f"{exchange.number:>6}  {(exchange.begun - base) / 1e9:11.6f}  tcp {exchange.stream}{substream:6} "
            f"{request}  → {_answer(exchange.status, exchange.reason, exchange.media)}  {size:,} bytes"
            f"  in {human_time(lasted)}{whole}"
        )
        if phases.connect >= 0 or phases.tls >= 0 or phases.dns >= 0 or exchange.items or lasted >= NOTICED:
            shown = [f"{name} {human_time(value)}" for name, value in phases._asdict().items() if value > 0]
            yield f"{'':8}{' · '.join(shown)}"
        for item in (*exchange.items, *([exchange.outcome] if exchange.outcome is not None else [])):
            yield _item(session, exchange, item, secrets)


@lru_cache
def _answer(status: int, reason: str, media: str) -> str:
    """The answer in words; there are few different ones in a capture."""
    words = printable(f"{status} {reason}".rstrip()) if status else "no response"
    return f"{words}  {printable(media)}" if media else words


def _url(exchange: Exchange, secrets: bool) -> str:
    return printable(exchange.url if secrets else url(exchange.url))


def _item(session: Session, exchange: Exchange, item: Item, secrets: bool) -> str:
    from inspector.export.messages import item_text

    after = (session.time_of(item.complete) - exchange.begun) / 1e9
    spread = f" (from packet {item.first})" if item.first != item.complete else ""
    arrow = "→" if item.from_client else "←"
    text = told(printable(item_text(session, item), 120), secrets)
    return f"{'':8}{after:+11.6f}  {arrow} packet {item.complete}{spread}  {text}"


def human_time(nanoseconds: int) -> str:
    """`15.97 ms`"""
    if nanoseconds < 1_000_000:
        return f"{nanoseconds / 1e3:.0f} µs"
    return f"{nanoseconds / 1e6:.2f} ms" if nanoseconds < 1_000_000_000 else f"{nanoseconds / 1e9:.3f} s"
