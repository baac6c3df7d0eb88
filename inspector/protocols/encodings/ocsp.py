"""OCSP responses (RFC 6960, 4.2): whether a certificate was revoked, signed by its authority."""

from __future__ import annotations

from collections.abc import Callable

from inspector.core.cursor import Cursor
from inspector.core.field import catalog, heading, octets, oid, string, uint
from inspector.core.layer import Severity
from inspector.protocols.encodings import der, x509

STATUSES = {0: "successful", 1: "malformedRequest", 2: "internalError", 3: "tryLater", 5: "sigRequired", 6: "unauthorized"}
CERT_STATUSES = {0: "good", 1: "revoked", 2: "unknown"}

FIELDS = catalog(
    uint("ocsp.responseStatus", "Status", 32, values=STATUSES),
    oid("ocsp.responseType.id", "Type"),
    heading("ocsp.BasicOCSPResponse_element", "Basic response"),
    heading("ocsp.tbsResponseData_element", "Signed part"),
    uint("ocsp.byName", "Responder", 32),
    octets("ocsp.byKey", "Responder's key"),
    string("ocsp.producedAt", "Produced at"),
    heading("ocsp.SingleResponse_element", "Certificate's status"),
    heading("ocsp.hashAlgorithm_element", "Hash algorithm"),
    octets("ocsp.issuerNameHash", "Hash of the issuer's name"),
    octets("ocsp.issuerKeyHash", "Hash of the issuer's key"),
    octets("ocsp.serialNumber", "Serial number"),
    uint("ocsp.certStatus", "Status", 32, values=CERT_STATUSES),
    string("ocsp.thisUpdate", "As of"),
    string("ocsp.nextUpdate", "Next update"),
    heading("ocsp.responseExtensions", "Extensions"),
    octets("ocsp.signature", "Signature"),
    heading("ocsp.Certificate_element", "Responder's certificate"),
)


def response(c: Cursor, scts: Callable[[Cursor], None]) -> str:
    """An OCSP response in what is left of the cursor; returns its status in words. An issue where it is none."""
    start = c.pos
    try:
        with der.node(c, None, der.SEQUENCE):
            status = der.integer(c, "ocsp.responseStatus")
            if der.tag(c) == 0xA0:
                with der.node(c, None, 0xA0), der.node(c, None, der.SEQUENCE):
                    der.oid(c, "ocsp.responseType.id", x509.OIDS)
                    with der.node(c, None, der.OCTET_STRING):
                        return _basic(c, scts)
        return STATUSES.get(status, f"status {status}")
    except der.NotDer:
        c.issue("ocsp", "not an OCSP response in DER (RFC 6960, 4.2.1)", Severity.WARNING, c.span(start, c.stop))
        return "unreadable"


def _basic(c: Cursor, scts: Callable[[Cursor], None]) -> str:
    with der.node(c, "ocsp.BasicOCSPResponse_element", der.SEQUENCE):
        with der.node(c, "ocsp.tbsResponseData_element", der.SEQUENCE):
            words = _data(c, scts)
        x509.algorithm(c, "x509af.algorithmIdentifier_element")
        der.bit_string(c, "ocsp.signature")
        if der.tag(c) == 0xA0:
            with der.node(c, None, 0xA0), der.node(c, None, der.SEQUENCE):
                while c.remaining:
                    with c.group("ocsp.Certificate_element") as field:
                        found = x509.certificate(c, _size(c), scts)
                        field.text = found.subject if found is not None else ""
    return words


def _size(c: Cursor) -> int:
    """How long the next element is, with its header."""
    found = der.element(c.peek(c.remaining), 0)
    if found is None:
        raise der.NotDer
    return found.stop


def _data(c: Cursor, scts: Callable[[Cursor], None]) -> str:
    if der.tag(c) == 0xA0:
        der.leave(c)  # the version, which is left out where it is 1
    if der.tag(c) == 0xA1:
        with der.node(c, None, 0xA1):
            x509.name(c, "ocsp.byName")
    else:
        with der.node(c, None, 0xA2):
            der.contents(c, "ocsp.byKey", der.OCTET_STRING)
    _time(c, "ocsp.producedAt")
    words: list[str] = []
    with der.node(c, None, der.SEQUENCE):
        while c.remaining:
            with der.node(c, "ocsp.SingleResponse_element", der.SEQUENCE):
                words.append(_single(c, scts))
    if der.tag(c) == 0xA1:
        _extensions(c, 0xA1, scts)
    return ", ".join(words[:4])


def _single(c: Cursor, scts: Callable[[Cursor], None]) -> str:
    with der.node(c, None, der.SEQUENCE):
        x509.algorithm(c, "ocsp.hashAlgorithm_element")
        der.contents(c, "ocsp.issuerNameHash", der.OCTET_STRING)
        der.contents(c, "ocsp.issuerKeyHash", der.OCTET_STRING)
        der.contents(c, "ocsp.serialNumber", der.INTEGER)
    start, status = c.pos, der.tag(c) & 0x1F
    der.leave(c)
    c.add("ocsp.certStatus", status, start, c.pos)
    _time(c, "ocsp.thisUpdate")
    if der.tag(c) == 0xA0:
        with der.node(c, None, 0xA0):
            _time(c, "ocsp.nextUpdate")
    if der.tag(c) == 0xA1:
        _extensions(c, 0xA1, scts)
    return CERT_STATUSES.get(status, f"status {status}")


def _extensions(c: Cursor, tag: int, scts: Callable[[Cursor], None]) -> None:
    with der.node(c, "ocsp.responseExtensions", tag), der.node(c, None, der.SEQUENCE):
        while c.remaining:
            x509.extension(c, [], scts)


def _time(c: Cursor, field: str) -> None:
    size = der.enter(c, der.GENERALIZED_TIME)
    c.string(field, size)
