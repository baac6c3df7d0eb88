"""HTTP Archive 1.2 (http://www.softwareishard.com/blog/har-12-spec/): exchanges for browsers and other tools.

Names that begin with `_` are additions, as the format allows; `_webSocketMessages` is what Chrome writes.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

from inspector import __version__
from inspector.core.limits import MAX_ARCHIVED
from inspector.core.text import decode
from inspector.export import redaction
from inspector.export.messages import Message, grpc_status, item_text, message
from inspector.protocols.http.head import Head
from inspector.streams.exchanges import Exchange, Part

if TYPE_CHECKING:
    from inspector.session import Session

LAST_MOMENT = 253_402_300_799_000_000_000  # the end of the year 9999, in nanoseconds since 1970
_TEXTUAL = ("text/", "application/json", "application/xml", "application/javascript", "application/x-www-form-urlencoded")


def archive(session: Session, exchanges: Iterable[Exchange], secrets: bool = False) -> dict[str, Any]:
    """The archive, ready for `json.dumps`. secrets: keep credentials, cookies and tokens."""
    entries = [entry(session, exchange, secrets) for exchange in exchanges]
    creator = {"name": "osi-inspect", "version": __version__}
    comment = "" if secrets else "Credentials, cookies and tokens are redacted."
    return {"log": {"version": "1.2", "creator": creator, "pages": [], "entries": entries, "comment": comment}}


def lines(session: Session, exchanges: Iterable[Exchange], secrets: bool = False) -> Iterator[str]:
    """The archive as text, entry by entry: all its bodies together may be more than memory holds."""
    head, _, tail = json.dumps(archive(session, (), secrets), indent=1).rpartition("[]")
    yield f"{head}["
    for number, exchange in enumerate(exchanges):
        yield f"{',' if number else ''}{json.dumps(entry(session, exchange, secrets), indent=1)}"
    yield f"]{tail}"


def entry(session: Session, exchange: Exchange, secrets: bool) -> dict[str, Any]:
    """One exchange."""
    asked, answered = (message(session, exchange, response) for response in (False, True))
    client, server = session.index.flows.addresses(exchange.flow)

    found: dict[str, Any] = {
        "startedDateTime": _moment(exchange.begun),
        "time": sum(value for name, value in _timings(exchange).items() if name != "ssl" and value > 0),
        "request": _request(exchange, asked, secrets),
        "response": _response(exchange, answered, secrets),
        "cache": {},
        "timings": _timings(exchange),
        "serverIPAddress": str(ip_address(server)),
        "connection": str(exchange.stream),
        "_clientIPAddress": str(ip_address(client)),
        "_packets": {
            name: {"first": part.first, "last": part.last, "complete": part.complete}
            for name, part in (("request", exchange.request), ("response", exchange.response))
            if part is not None
        },
    }
    if exchange.substream >= 0:
        found["_http2Stream"] = exchange.substream
    if (status := grpc_status(session, exchange)) is not None:
        found["_grpcStatus"] = status
    if exchange.protocol == "WebSocket":
        found["_resourceType"] = "websocket"
        found["_webSocketMessages"] = [
            {
                "type": "send" if item.from_client else "receive",
                "time": session.time_of(item.complete) / 1e9,
                "opcode": item.pdu.info.get("opcode", 0),
                "data": _message_data(item.pdu.span.read(), item.pdu.info.get("opcode", 0), secrets),
            }
            for item in exchange.items
        ]
    elif exchange.items:
        found["_messages"] = [
            {
                "type": "send" if item.from_client else "receive",
                "time": session.time_of(item.complete) / 1e9,
                "packet": item.complete,
                "summary": _clean(item_text(session, item), secrets),
            }
            for item in exchange.items
        ]
    return found


def _message_data(data: bytes, opcode: int, secrets: bool) -> str:
    return _clean(decode(data), secrets) if opcode == 1 else b64encode(data).decode("ascii")


def _clean(text: str, secrets: bool) -> str:
    safe = text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return safe if secrets else redaction.body(safe, "json")


def _moment(time_ns: int) -> str:
    """ISO 8601; a capture may claim a time that no calendar holds, which becomes the nearest that one does."""
    seconds, rest = divmod(min(max(time_ns, 0), LAST_MOMENT), 1_000_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest // 1000:06d}Z"


def _timings(exchange: Exchange) -> dict[str, float]:
    """Milliseconds; -1 for what does not apply, 0 for what must be there and was not seen. `connect` includes `ssl`.

    `time` is to be their sum: where the response begins while the request goes on, what they share is told of the response.
    """
    dns, connect, tls, send, wait, receive = (phase / 1e6 if phase >= 0 else -1.0 for phase in exchange.phases)
    shared = sum(max(phase, 0.0) for phase in (send, wait, receive)) - (exchange.ended - exchange.begun) / 1e6
    send -= max(min(shared, send), 0.0)
    return {
        "blocked": -1.0,
        "dns": dns,
        "connect": connect + max(tls, 0) if connect >= 0 else -1.0,
        "ssl": tls if connect >= 0 else -1.0,
        "send": max(send, 0.0),
        "wait": max(wait, 0.0),
        "receive": max(receive, 0.0),
    }


def _headers(head: Head | None, secrets: bool) -> list[dict[str, str]]:
    pairs = [] if head is None else head.headers
    return [{"name": _text(name), "value": _text(value if secrets else redaction.header(name, value))} for name, value in pairs]


def _text(latin: str) -> str:
    """A header as text: UTF-8 where it is."""
    try:
        raw = latin.encode("latin-1")
    except UnicodeEncodeError:  # it was decoded already
        raw = latin.encode("utf-8", "surrogateescape")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def _sizes(exchange: Exchange, part: Part | None, said: Message) -> tuple[int, int]:
    """Bytes of the head and of the body as they were sent; of a body over HTTP/2, without what frames and trailers add."""
    if part is None:
        return -1, -1
    return part.head - part.start, part.stop - part.head if exchange.substream < 0 else said.coded


def _request(exchange: Exchange, asked: Message, secrets: bool) -> dict[str, Any]:
    url = exchange.url if secrets else redaction.url(exchange.url)
    head_size, body_size = _sizes(exchange, exchange.request, asked)
    head = asked.head
    cookies = [pair.strip().partition("=") for pair in head.cookie.split(";")] if head is not None else []
    found: dict[str, Any] = {
        "method": exchange.method,
        "url": _text(url),
        "httpVersion": _version(exchange, head),
        "cookies": [{"name": name, "value": value if secrets else redaction.REDACTED} for name, _, value in cookies if name],
        "headers": _headers(head, secrets),
        "queryString": [
            {"name": name, "value": value} for name, value in parse_qsl(_query(_text(url)), keep_blank_values=True)
        ],
        "headersSize": head_size,
        "bodySize": body_size,
    }
    if asked.body:
        media = _media(head)
        text = _body_text(asked.body[:MAX_ARCHIVED], media, secrets)
        found["postData"] = {"mimeType": media, "params": [], "text": text, **_cut(asked.body)}
        if media == "application/x-www-form-urlencoded":
            found["postData"]["params"] = [
                {"name": name, "value": value} for name, value in parse_qsl(text, keep_blank_values=True)
            ]
    return found


def _query(url: str) -> str:
    try:
        return urlsplit(url).query
    except ValueError:  # a bracket that is not closed
        return url.partition("?")[2].partition("#")[0]


def _response(exchange: Exchange, answered: Message, secrets: bool) -> dict[str, Any]:
    head = answered.head
    head_size, body_size = _sizes(exchange, exchange.response, answered)
    media = _media(head)
    content: dict[str, Any] = {"size": len(answered.body or b""), "mimeType": media or "x-unknown"}
    if answered.body:
        content["compression"] = len(answered.body) - answered.coded
        if media.startswith(_TEXTUAL) or media.endswith(("+json", "+xml")):
            content["text"] = _body_text(answered.body[:MAX_ARCHIVED], media, secrets)
        else:
            content["text"] = b64encode(answered.body[:MAX_ARCHIVED]).decode("ascii")
            content["encoding"] = "base64"
        content |= _cut(answered.body)
    location = (head.get("location") or "") if head is not None else ""
    set_cookies = [value for name, value in head.headers if name == "set-cookie"] if head is not None else []
    return {
        "status": exchange.status,
        "statusText": _text(exchange.reason),
        "httpVersion": _version(exchange, head),
        "cookies": [_cookie(value, secrets) for value in set_cookies],
        "headers": _headers(head, secrets),
        "content": content,
        "redirectURL": _text(location if secrets else redaction.url(location)),
        "headersSize": head_size,
        "bodySize": body_size,
    }


def _cut(body: bytes) -> dict[str, str]:
    if len(body) <= MAX_ARCHIVED:
        return {}
    return {"comment": f"The body is kept to {MAX_ARCHIVED >> 20} MiB of {len(body) / (1 << 20):,.1f} MiB."}


def _cookie(text: str, secrets: bool) -> dict[str, Any]:
    pair, *attributes = text.split(";")
    name, _, value = pair.strip().partition("=")
    found: dict[str, Any] = {"name": _text(name), "value": _text(value) if secrets else redaction.REDACTED}
    for attribute in attributes:
        key, _, setting = attribute.strip().partition("=")
        match key.lower():
            case "path" | "domain":
                found[key.lower()] = setting
            case "httponly":
                found["httpOnly"] = True
            case "secure":
                found["secure"] = True
    return found


def _version(exchange: Exchange, head: Head | None) -> str:
    if exchange.substream >= 0:
        return "HTTP/2"
    words = head.start if head is not None else ("", "", "")
    return next((word for word in words if word.startswith("HTTP/")), "HTTP/1.1")


def _media(head: Head | None) -> str:
    return ((head.get("content-type") or "") if head is not None else "").split(";")[0].strip().lower()


def _body_text(body: bytes, media: str, secrets: bool) -> str:
    text = body.decode("utf-8", "replace")
    return text if secrets else redaction.body(text, media)
