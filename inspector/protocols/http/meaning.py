"""What an HTTP message means, with the section of the specification, whichever version carries it: what is asked and answered,
caching, conditions, cookies, redirects, credentials (RFC 9110, RFC 9111)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from inspector.core.field import Field
from inspector.core.layer import Note
from inspector.core.text import counted, natural, printable
from inspector.protocols.http.head import Head
from inspector.protocols.http.semantics import of_method, of_status

TOLD = (100, 101, 304, 412)  # status codes that have notes of their own
KEPT_METHOD = {307: "RFC 9110, 15.4.8", 308: "RFC 9110, 15.4.9"}
REDIRECTS = {301: "RFC 9110, 15.4.2", 302: "RFC 9110, 15.4.3", 303: "RFC 9110, 15.4.4", **KEPT_METHOD}
WITH = {**dict.fromkeys(REDIRECTS, "location"), 206: "content-range", 416: "content-range"}  # the same, with that header


class Message(NamedTuple):
    """A dissected message as the notes see it.

    head: its words; lines: names in lower case, values, and the field of each header line; start: the field that says most of
    the start line: the method, or the status code; asked_method: what a response answers, empty where that is not known.
    """

    head: Head
    lines: list[tuple[str, str, Field]]
    start: Field
    asked_method: str

    @property
    def request(self) -> bool:
        return self.head.request

    @property
    def code(self) -> int:
        return self.head.code

    @property
    def kind(self) -> str:
        """The media type without its parameters, in lower case; empty where there is none."""
        return (self.head.get("content-type") or "").partition(";")[0].strip().lower()

    def line(self, name: str) -> tuple[str, Field] | None:
        """The first header line of that name."""
        return next(((value, field) for key, value, field in self.lines if key == name), None)


Notes = Iterator[Note]


def explain(message: Message, of_version: Iterable[Note] = ()) -> list[Note]:
    """The notes of a message. of_version: those of the version that carries it, which stand behind what is asked."""
    return [*_asks(message), *of_version, *(note for topic in TOPICS for note in topic(message))]


def _asks(message: Message) -> Notes:
    """What the request wants; what the status says, where no other note does."""
    if message.request:
        method, target, _ = message.head.start
        host = message.head.get("host") or ""
        where = printable(target, 80) + (f" on {printable(host, 60)}" if host and target.startswith("/") else "")
        why, reference = of_method(method[:20], where)
        yield Note(message.start.span, "what is asked", why, reference)
    elif message.code == 200 and message.kind.startswith("application/grpc"):
        why = "200, whatever becomes of the call: its outcome is grpc-status, in the trailers or here."
        yield Note(message.start.span, "what is answered", why, "gRPC over HTTP2: Responses")
    elif message.code not in TOLD and not (message.code in WITH and message.line(WITH[message.code])):
        why, reference = of_status(message.code)
        if why:
            yield Note(message.start.span, "what is answered", why, reference)


def _expectation(message: Message) -> Notes:
    if (expect := message.line("expect")) and expect[0].lower() == "100-continue":
        why = "The client is ready to hold its body back until the server says 100, or gives an answer that saves sending it."
        why += " It need not wait for ever."
        yield Note(expect[1].span, "expectation", why, "RFC 9110, 10.1.1")
    if message.code == 100:
        yield Note(
            message.start.span,
            "100 Continue",
            "The server wants the body; its final answer is still to come.",
            "RFC 9110, 15.2.1",
        )


_DIRECTIVES: dict[str, tuple[str, str]] = {
    "no-store": ("no cache may keep this", "RFC 9111, 5.2.2.5"),
    "no-cache": ("whoever keeps it must ask the server each time before using it", "RFC 9111, 5.2.2.4"),
    "private": ("only the user's own cache may keep it, no shared one", "RFC 9111, 5.2.2.7"),
    "public": ("any cache may keep it, even where it normally would not", "RFC 9111, 5.2.2.9"),
    "must-revalidate": ("once stale it must not be used without asking the server", "RFC 9111, 5.2.2.2"),
}


def _caching(message: Message) -> Notes:
    if (found := message.line("cache-control")) and not message.request:
        said, sections = [], []
        for token in found[0].lower().split(","):
            name, _, value = token.strip().partition("=")
            value = value.strip('" ')
            if name in ("max-age", "s-maxage") and (lasts := natural(value)) is not None:
                whom = "" if name == "max-age" else "shared caches: "
                said.append(f"{whom}fresh for {lasts:,} seconds")
                sections.append("RFC 9111, 5.2.2.1" if name == "max-age" else "RFC 9111, 5.2.2.10")
            elif name in _DIRECTIVES and not value:  # with names of headers in quotes it is about these headers alone
                said.append(_DIRECTIVES[name][0])
                sections.append(_DIRECTIVES[name][1])
        if len(said) > 1 and _DIRECTIVES["no-store"][0] in said:  # then the others have nothing to be about
            said, sections = [f"{_DIRECTIVES['no-store'][0]}, whatever else stands here"], [_DIRECTIVES["no-store"][1]]
        if said:
            why = "; ".join(said)
            yield Note(found[1].span, "caching", f"{why[0].upper()}{why[1:]}.", _joined(sections))
    if not message.request and (tag := message.line("etag")):
        weak = tag[0].startswith("W/")
        kind = "a weak one: the same in meaning, though perhaps not byte for byte" if weak else "the same byte for byte"
        why = f"A name for this version of the content ({kind}). The client can ask later whether it still holds."
        yield Note(tag[1].span, "validator", why, "RFC 9110, 8.8.3")
    if (age := message.line("age")) and (old := natural(age[0])) is not None:
        why = f"A cache answered: the server made this, or said that it still holds, {old:,} seconds ago."
        yield Note(age[1].span, "from a cache", why, "RFC 9111, 5.1")


def _joined(references: list[str]) -> str:
    """Several sections of one RFC as one reference: `RFC 9111, 5.2.2.1 and 5.2.2.7`."""
    first, *others = dict.fromkeys(references)
    rest = [other.partition(", ")[2] for other in others]
    return ", ".join([first, *rest[:-1]]) + (f" and {rest[-1]}" if rest else "")


_STRONGER = {"if-modified-since": "if-none-match", "if-unmodified-since": "if-match"}
_CONDITIONS = {
    "if-none-match": ("only if no version that the client has is current; else 304 without a body", "RFC 9110, 13.1.2"),
    "if-modified-since": ("only if it changed after that time; else 304 without a body", "RFC 9110, 13.1.3"),
    "if-match": (
        "only if the version is still one that the client knows, so that no other change is lost; else 412",
        "RFC 9110, 13.1.1",
    ),
    "if-unmodified-since": ("only if it did not change after that time; else 412", "RFC 9110, 13.1.4"),
    "if-range": ("for the range only if the version is still the same; else for the whole", "RFC 9110, 13.1.5"),
}


def _conditions(message: Message) -> Notes:
    if message.request:
        for name, (why, reference) in _CONDITIONS.items():
            if found := message.line(name):
                if name == "if-none-match" and message.head.start[0] not in ("GET", "HEAD"):
                    why = why.replace("304 without a body", "412")
                    if found[0].strip() == "*":
                        why = "only if there is nothing yet, so that nothing is overwritten; else 412"
                elif name == "if-match" and found[0].strip() == "*":
                    why = "only if there is something already; else 412"
                elif name in _STRONGER and message.line(_STRONGER[name]):
                    why += f" (servers that know {_STRONGER[name].title()}, which stands here too, must ignore this)"
                yield Note(found[1].span, "condition", f"The request is to be done {why}.", reference)
    elif message.code == 304:
        why = "What the client has is still current: it uses its own copy, and no body is sent."
        yield Note(message.start.span, "304 Not Modified", why, "RFC 9110, 15.4.5")
    elif message.code == 412:
        yield Note(
            message.start.span, "412", "The condition of the request does not hold; nothing was done.", "RFC 9110, 15.5.13"
        )


def _ranges(message: Message) -> Notes:
    if message.request and (wanted := message.line("range")):
        yield Note(wanted[1].span, "range", f"Only a part is wanted: {printable(wanted[0], 80)}.", "RFC 9110, 14.2")
    elif not message.request and (part := message.line("content-range")):
        title = {206: "206 Partial Content", 416: "416 Range Not Satisfiable"}.get(message.code, "range")
        what = "The body is a part of the whole" if message.code == 206 else "What there is"
        why = f"{what}: {printable(part[0], 80)}."
        reference = {206: "RFC 9110, 15.3.7", 416: "RFC 9110, 15.5.17"}.get(message.code, "RFC 9110, 14.4")
        yield Note(part[1].span, title, why, reference)


_SAME_SITE = {
    "strict": "it is sent only with requests that this site itself starts",
    "lax": "from other sites it is sent only when the user follows a link to this one",
    "none": "it is sent with requests from any site",
}


def _cookies(message: Message) -> Notes:
    for name, value, field in message.lines:
        if name == "cookie" and message.request:
            count = len([pair for pair in value.split(";") if pair.strip()])
            why = f"{counted(count, 'cookie')} that the client keeps for this server, usually from earlier responses: by them"
            why += " it is known again, since HTTP itself remembers nothing."
            yield Note(field.span, "cookies sent", why, "RFC 6265, 5.4")
        elif name == "set-cookie" and not message.request:
            reference = "RFC 6265, 4.1 and 5.2" + ("; RFC 6265bis" if "samesite" in value.lower() else "")
            why = _cookie(value, _moment(message.head.get("date") or ""))
            yield Note(field.span, f"cookie {printable(value.partition('=')[0].strip(), 40)}", why, reference)


_YEAR = 365 * 24 * 60 * 60  # seconds: servers that delete a cookie give it a time in 1970, mostly its first second


def _moment(date: str) -> float | None:
    """A date of HTTP or of a cookie, in seconds since 1970; None where it is none."""
    from email.utils import parsedate_to_datetime

    try:
        return parsedate_to_datetime(date).timestamp()
    except (ValueError, OverflowError):
        return None


def _cookie(value: str, now: float | None) -> str:
    """What a Set-Cookie header asks of the client. now: when the response was made, as its Date says."""
    parts = (part.strip().partition("=") for part in value.split(";")[1:])
    attributes = {name.strip().lower(): content.strip() for name, _, content in parts}
    said: list[str] = []
    seconds = attributes.get("max-age", "")
    if seconds.removeprefix("-").isdigit() and seconds.isascii():
        lasts = natural(seconds)
        kept = "longer than any client counts" if lasts is None else f"{lasts:,} seconds"
        said.append("it is deleted" if lasts == 0 or seconds.startswith("-") else f"the client keeps it for {kept}")
    elif (end := _moment(attributes.get("expires", ""))) is not None:
        over = end <= (_YEAR if now is None else now)
        said.append("it is deleted" if over else f"the client keeps it until {printable(attributes['expires'], 40)}")
    else:
        said.append("the client keeps it until the session ends (the browser is closed)")
    domain = printable(attributes.get("domain", "").removeprefix("."), 60)
    said.append(f"for {domain} and all below it" if domain else "for this host alone")
    if "secure" in attributes:
        said.append("over TLS only")
    if "httponly" in attributes:
        said.append("hidden from scripts")
    if attributes.get("samesite", "").lower() in _SAME_SITE:
        said.append(_SAME_SITE[attributes["samesite"].lower()])
    return f"{said[0][0].upper()}{said[0][1:]}, {', '.join(said[1:])}."


def _redirects(message: Message) -> Notes:
    if message.code not in REDIRECTS:
        return
    found = message.line("location")
    if found is None:
        return
    if message.code in KEPT_METHOD:
        method = "with the same method and body"
    elif message.code == 303:
        method = "with GET"
    elif message.asked_method in ("GET", "HEAD"):
        method = f"with {message.asked_method} again"
    else:
        method = "where a POST in practice becomes a GET"
    lasting = "for good" if message.code in (301, 308) else "for now"
    why = f"The resource is elsewhere {lasting}: the client is to ask for {printable(found[0], 120)}, {method}."
    if message.code == 303:
        why = f"What answers the request stands elsewhere: the client is to ask for {printable(found[0], 120)}, {method}."
    yield Note(found[1].span, "redirect", why, REDIRECTS[message.code])


def _later(message: Message) -> Notes:
    """What is to be asked for later: what was made, a job, the same again after a while."""
    place = message.line("location")
    if place is not None and message.code == 201:
        yield Note(place[1].span, "what was made", f"It is at {printable(place[0], 120)}.", "RFC 9110, 10.2.2 and 15.3.2")
    elif place is not None and message.code == 202:
        why = f"By custom the client asks at {printable(place[0], 120)} how the work is going: this answer is to point to what"
        why += " tells."
        yield Note(place[1].span, "where to ask later", why, "RFC 9110, 10.2.2 and 15.3.3")
    if not message.request and (after := message.line("retry-after")):
        when = printable(after[0].strip(), 40)
        why = f"in {when} s, not sooner" if when.isdigit() else f"after {when}, not sooner"
        yield Note(after[1].span, "when to ask again", f"The server wishes to be asked again {why}.", "RFC 9110, 10.2.3")
    if message.request and (prefer := message.line("prefer")) and (wait := _WAIT.search(prefer[0])):
        why = f"The client is ready to wait {wait[1]} s for the answer: a server without news may hold it back so long."
        yield Note(prefer[1].span, "it may wait", why, "RFC 7240, 4.3")


_WAIT = re.compile(r"(?:^|[,;\s])wait\s*=\s*(\d{1,6})\b")


_SCHEMES = {
    "basic": ("user and password in Base64, which hides nothing: only TLS protects them", "RFC 7617, 4"),
    "bearer": ("a token; whoever holds it is let in", "RFC 6750, 1.2"),
    "digest": ("a hash over the password and the server's nonce, not the password itself", "RFC 7616, 3.4"),
    "negotiate": ("a Kerberos or NTLM token", "RFC 4559, 4"),
    "ntlm": ("a message of the NTLM handshake, which belongs to this connection and not to one request", "MS-NTHT, 2.1"),
}


_ERROR = re.compile(r'error="(?P<code>[^"]*)"(?:\s*,\s*error_description="(?P<description>[^"]*)")?')


def _authentication(message: Message) -> Notes:
    for name, value, field in message.lines:
        scheme, _, secret = value.strip().partition(" ")
        what, reference = _SCHEMES.get(scheme.lower(), ("", "RFC 9110, 11.1"))
        words = f"{printable(scheme, 20)}: {what}." if what else f"{printable(scheme, 20)}."
        if name in ("authorization", "proxy-authorization") and message.request:
            why = f"{words} {len(secret.strip()):,} characters, not shown here."
            yield Note(field.span, "credentials", why, reference)
        elif name in ("www-authenticate", "proxy-authenticate") and not message.request:
            refused = message.code in (401, 407)
            why = f"The client is to ask again with {words}" if refused else f"Credentials might change the answer. {words}"
            if (wrong := _ERROR.search(value)) and scheme.lower() == "bearer":
                why += f" What it sent is refused: {printable((wrong['description'] or wrong['code']), 120)}."
                reference = "RFC 6750, 3"
            yield Note(field.span, "who are you?" if refused else "challenge", why, reference)


def _negotiation(message: Message) -> Notes:
    if message.request and (accept := message.line("accept-encoding")):
        why = f"Of codings of the content the client accepts: {printable(accept[0], 80)}." if accept[0].strip() else ""
        why = why or "The client wants the content without a coding."
        yield Note(accept[1].span, "codings offered", why, "RFC 9110, 12.5.3")
    if not message.request and (coding := message.line("content-encoding")):
        why = f"The content is coded with {printable(coding[0], 40)}: lengths and chunks count the coded bytes."
        if all(token == "identity" for token in message.head.tokens("content-encoding")):
            why = "The content is not coded at all; the name identity is for Accept-Encoding alone, and should not stand here."
        yield Note(coding[1].span, "content coding", why, "RFC 9110, 8.4")
    if not message.request and (vary := message.line("vary")):
        why = f"The answer may depend on the request's {printable(vary[0], 80)}: a cache gives it only to requests that are"
        why += " alike there."
        if vary[0].strip() == "*":
            why = "The answer may depend on more than the request's headers: a cache must ask the server each time."
        yield Note(vary[1].span, "vary", why, "RFC 9110, 12.5.5")


def _streams(message: Message) -> Notes:
    kind = message.line("content-type")
    if not message.request and kind and message.kind == "text/event-stream" and message.code == 200:
        why = "A stream of events: the response goes on for as long as both sides like, and each event counts when it is whole."
        yield Note(kind[1].span, "event stream", why, "WHATWG HTML, 9.2")
    if message.request and (last := message.line("last-event-id")):
        why = f"By its own account the client was connected before, and the last id it got was {printable(last[0], 60)}: the"
        why += " server is to go on behind that event."
        yield Note(last[1].span, "reconnected", why, "WHATWG HTML, 9.2.4")
    if not message.request and (accept := message.line("sec-websocket-accept")):
        why = (
            f"{printable(accept[0], 40)} is SHA-1 over the request's Sec-WebSocket-Key and a fixed text, in Base64: proof that"
            " the server speaks WebSocket and did not take the request for an ordinary one. It keeps nothing secret."
        )
        yield Note(accept[1].span, "accept", why, "RFC 6455, 1.3 and 4.2.2")


TOPICS: tuple[Callable[[Message], Notes], ...] = (
    _expectation, _caching, _conditions, _ranges, _cookies, _redirects, _later, _authentication, _negotiation, _streams,
)  # fmt: skip
