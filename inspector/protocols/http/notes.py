"""What a message means, and what of it is HTTP/1's own: why its body ends, what becomes of the connection."""

from __future__ import annotations

from inspector.core.field import Field
from inspector.core.layer import Layer, Note
from inspector.core.text import counted, printable
from inspector.protocols.http import meaning
from inspector.protocols.http.framing import body_of, chunk_size
from inspector.protocols.http.head import Head
from inspector.protocols.http.meaning import Message, Notes


def explain(layer: Layer) -> list[Note]:
    if layer.find("http.request.method") is None and layer.find("http.response.version") is None:
        return list(_chunk(layer))
    message = _message(layer)
    return meaning.explain(message, [*_framing(message, layer), *_connection(message)])


def _message(layer: Layer) -> Message:
    lines: list[tuple[str, str, Field]] = []
    for field in layer.fields:
        parts = {child.name: child.value for child in field.children}
        if "http.header.name" in parts:
            lines.append((str(parts["http.header.name"]).strip().lower(), str(parts.get("http.header.value", "")), field))
    request = layer.find("http.request.method") is not None
    side = ("method", "uri", "version") if request else ("version", "code", "phrase")
    first, second, third = (str(layer.value(f"http.{'request' if request else 'response'}.{word}", "")) for word in side)
    head = Head(request, (first, second, third), [(name, value) for name, value, _ in lines])
    start = layer.find("http.request.method" if request else "http.response.code")
    return Message(head, lines, layer.fields[0] if start is None else start, str(layer.value("http.response_for.method", "")))


def _chunk(layer: Layer) -> Notes:
    size, data = layer.find("http.chunk_size"), layer.find("http.chunk_data")
    if size is None:
        return
    if data is None:
        yield Note(size.span, "the last chunk", "A chunk of size 0 ends the body; only trailers may follow.", "RFC 9112, 7.1")
    else:
        told = chunk_size(str(size.value).encode())
        digits = str(size.value).partition(";")[0].strip()[:20]
        why = f"The size stands in front, in hexadecimal: {digits}, which is {counted(told or 0, 'byte')}. So the length of the"
        why += " whole need not be known beforehand."
        yield Note(size.span, "chunk", why, "RFC 9112, 7.1")


def _framing(message: Message, layer: Layer) -> Notes:
    body = body_of(message.head, message.asked_method)
    at = next((found[1] for name in ("transfer-encoding", "content-length") if (found := message.line(name))), message.start)
    if message.request and message.head.start[0] == "CONNECT":
        return
    if not message.request and message.asked_method == "CONNECT" and 200 <= message.code < 300:
        why = "From the byte behind the blank line on, the connection is a tunnel: the proxy copies bytes and reads none."
        yield Note(message.start.span, "tunnel", why, "RFC 9110, 9.3.6")
        return
    why = body.why[0].upper() + body.why[1:]
    chunks = [field for field in layer.fields if field.name == "http.chunk"]
    sizes = [child.span.size for chunk in chunks for child in chunk.children if child.name == "http.chunk_data"]
    if sizes:
        why += f"; here {sum(sizes):,} bytes in {counted(len(sizes), 'chunk')}"
    yield Note(at.span, "why the body ends", f"{why}.", body.reference)


def _connection(message: Message) -> Notes:
    tokens = message.head.tokens("connection")
    found = message.line("connection")
    at = found[1] if found else message.start
    if message.code == 101:
        protocol = message.head.get("upgrade") or "another protocol"
        why = f"From the byte behind the blank line on, this connection no longer speaks HTTP, but {printable(protocol, 40)}."
        yield Note(message.start.span, "101 Switching Protocols", why, "RFC 9110, 15.2.2")
    elif "upgrade" in tokens and message.request:
        protocol = message.head.get("upgrade") or "another protocol"
        why = (
            f"The client asks to go on in {printable(protocol, 40)}; a server that does not want to answers as if it had not"
            " been asked."
        )
        yield Note(at.span, "upgrade", why, "RFC 9110, 7.8")
    elif "close" in tokens:
        why = "This is the last request on the connection: both sides close it once the answer has come."
        if not message.request:
            why = "The server closes the connection behind this response; the client must not send another request on it."
        yield Note(at.span, "close", why, "RFC 9112, 9.6")
    elif message.head.version == "HTTP/1.0" and "keep-alive" not in tokens:
        yield Note(at.span, "close", "HTTP/1.0 without keep-alive: the connection ends with the response.", "RFC 9112, 9.3")
    elif message.head.version == "HTTP/1.0":
        yield Note(at.span, "keep-alive", "HTTP/1.0 keeps the connection only where both sides say so.", "RFC 9112, 9.3")
    elif message.head.version == "HTTP/1.1" and not message.request and message.code >= 200 and found:
        yield Note(
            at.span, "keep-alive", "The next request may use this connection; HTTP/1.1 needs no header for it.", "RFC 9112, 9.3"
        )
