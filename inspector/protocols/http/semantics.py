"""What methods ask for and status codes answer (RFC 9110, 9.3 and 15), for every version of HTTP."""

from __future__ import annotations

# Method → what is asked for, whether it may be repeated, and where that is said.
METHODS = {
    "GET": (
        "a copy of what is at {target}; it is safe: it asks for nothing to be changed, and may be repeated",
        "RFC 9110, 9.3.1 and 9.2.1",
    ),
    "HEAD": ("the headers that a GET of {target} would bring, without the body; it is safe", "RFC 9110, 9.3.2 and 9.2.1"),
    "POST": (
        "{target} is to do something with the body; to repeat it may do it twice, so no client should do that by itself",
        "RFC 9110, 9.3.3 and 9.2.2",
    ),
    "PUT": (
        "the body is to be the new content of {target}; idempotent: twice is the same as once",
        "RFC 9110, 9.3.4 and 9.2.2",
    ),
    "DELETE": ("{target} is to be removed; idempotent: twice is the same as once", "RFC 9110, 9.3.5 and 9.2.2"),
    "CONNECT": ("a proxy is to open a TCP connection to {target} and copy bytes in both directions", "RFC 9110, 9.3.6"),
    "OPTIONS": (
        "what may be done with {target}; browsers ask so before some requests to another origin (CORS)",
        "RFC 9110, 9.3.7",
    ),
    "TRACE": ("the request itself back, as it arrived", "RFC 9110, 9.3.8"),
}
# Status code → what it says, and where that is said.
STATUSES = {
    200: ("the request was done, and here is what it brought", "RFC 9110, 15.3.1"),
    201: ("something new was made; Location, where it is sent, says where", "RFC 9110, 15.3.2"),
    202: ("taken, and not done yet; whether it will be is to be asked for later", "RFC 9110, 15.3.3"),
    203: ("done, and a proxy has changed what the server answered", "RFC 9110, 15.3.4"),
    204: ("done, and there is nothing to show for it: no body follows", "RFC 9110, 15.3.5"),
    205: ("done; the form that it was sent from is to be cleared", "RFC 9110, 15.3.6"),
    206: ("only the parts that were asked for", "RFC 9110, 15.3.7"),
    400: ("the server does not understand the request, or finds it wrong: the client is to change it", "RFC 9110, 15.5.1"),
    401: ("the request lacks valid credentials", "RFC 9110, 15.5.2"),
    403: ("understood, and refused: other credentials may help, the same ones will not", "RFC 9110, 15.5.4"),
    404: ("the server finds nothing there, or does not want to say that there is something", "RFC 9110, 15.5.5"),
    405: ("this cannot be done with that method; Allow names those that can", "RFC 9110, 15.5.6"),
    406: ("the server has nothing in a form that the client accepts", "RFC 9110, 15.5.7"),
    407: ("the proxy wants credentials of its own before it passes the request on", "RFC 9110, 15.5.8"),
    408: ("the request did not come whole in the time that the server waits", "RFC 9110, 15.5.9"),
    409: ("it does not fit the present state of the resource, such as a change that somebody else made", "RFC 9110, 15.5.10"),
    410: ("it was there, and is gone, probably for good", "RFC 9110, 15.5.11"),
    411: ("the server wants to know the length of the body beforehand", "RFC 9110, 15.5.12"),
    413: ("the body is larger than the server takes", "RFC 9110, 15.5.14"),
    414: ("the target is longer than the server reads", "RFC 9110, 15.5.15"),
    415: ("the body is in a format that the server does not take here", "RFC 9110, 15.5.16"),
    416: ("there is nothing in the range that was asked for", "RFC 9110, 15.5.17"),
    417: ("what Expect asks for cannot be met", "RFC 9110, 15.5.18"),
    421: ("this server does not answer for that host, or not on this connection; another connection may", "RFC 9110, 15.5.20"),
    422: ("the body is well formed, and what it says cannot be done", "RFC 9110, 15.5.21"),
    426: ("the server wants another protocol, which Upgrade names", "RFC 9110, 15.5.22"),
    500: ("something failed in the server that it did not expect", "RFC 9110, 15.6.1"),
    501: ("the server cannot do that method at all", "RFC 9110, 15.6.2"),
    502: ("a gateway got no valid answer from the server behind it", "RFC 9110, 15.6.3"),
    503: ("overloaded or down for now; Retry-After, where it is sent, says until when", "RFC 9110, 15.6.4"),
    504: ("a gateway waited in vain for the server behind it", "RFC 9110, 15.6.5"),
    505: ("the server does not speak this version of HTTP", "RFC 9110, 15.6.6"),
}
# Those of RFC 6585.
MORE_STATUSES = {
    428: ("the request must be conditional, so that no other change is lost", "RFC 6585, 3"),
    429: ("too many requests in a time; Retry-After may say when to come again", "RFC 6585, 4"),
    431: ("the headers are larger than the server reads", "RFC 6585, 5"),
    511: ("the network wants a login first", "RFC 6585, 6"),
}
CLASSES = {
    1: "RFC 9110, 15.2",
    2: "RFC 9110, 15.3",
    3: "RFC 9110, 15.4",
    4: "RFC 9110, 15.5",
    5: "RFC 9110, 15.6",
}
CLASS_WORDS = {
    1: "an interim answer: the final one is still to come",
    2: "the request was received, understood and accepted",
    3: "something more is to be done to complete the request",
    4: "the request is wrong, or cannot be done as it is",
    5: "the server failed to do a request that seems right",
}


def of_method(method: str, target: str) -> tuple[str, str]:
    """What a request asks for, as a sentence, and the reference."""
    if method == "PATCH":
        return f"PATCH: {target} is to be changed as the body says; to repeat it may change it twice.", "RFC 5789, 2"
    found = METHODS.get(method)
    if found is None:
        return f"{method} is no method of HTTP itself: what it means is for {target} to know.", "RFC 9110, 9.1"
    return f"{method}: {found[0].format(target=target)}.", found[1]


def of_status(code: int) -> tuple[str, str]:
    """What a status code says, as a sentence, and the reference; empty where it is no status code."""
    if code in MORE_STATUSES:
        words, reference = MORE_STATUSES[code]
        return f"{code}: {words}.", reference
    if code in STATUSES:
        words, reference = STATUSES[code]
        return f"{code}: {words}.", reference
    kind = code // 100
    return (f"{code}: {CLASS_WORDS[kind]}.", CLASSES[kind]) if kind in CLASSES else ("", "")
