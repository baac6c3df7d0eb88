"""X.509 certificates (RFC 5280, 4): every part at its own bytes, under Wireshark's names (x509af, x509if, x509sat, x509ce).

The walk follows the structure of RFC 5280, so that it never nests deeper than that. Not here: whether a chain can be trusted;
extensions that are not listed, which stay bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import NamedTuple

from inspector.core.cursor import Cursor
from inspector.core.field import catalog, flag, heading, octets, oid, sint, string, uint
from inspector.core.layer import Severity
from inspector.protocols.encodings import der

OIDS = {
    "2.5.4.3": "commonName", "2.5.4.4": "surname", "2.5.4.5": "serialNumber", "2.5.4.6": "countryName",
    "2.5.4.7": "localityName", "2.5.4.8": "stateOrProvinceName", "2.5.4.9": "streetAddress", "2.5.4.10": "organizationName",
    "2.5.4.11": "organizationalUnitName", "2.5.4.12": "title", "2.5.4.15": "businessCategory", "2.5.4.17": "postalCode",
    "2.5.4.42": "givenName", "2.5.4.97": "organizationIdentifier", "1.2.840.113549.1.9.1": "emailAddress",
    "0.9.2342.19200300.100.1.1": "userId", "0.9.2342.19200300.100.1.25": "domainComponent",
    "1.3.6.1.4.1.311.60.2.1.2": "jurisdictionStateOrProvinceName", "1.3.6.1.4.1.311.60.2.1.3": "jurisdictionCountryName",
    "1.2.840.113549.1.1.1": "rsaEncryption", "1.2.840.113549.1.1.4": "md5WithRSAEncryption",
    "1.2.840.113549.1.1.5": "sha1WithRSAEncryption", "1.2.840.113549.1.1.10": "rsassaPss",
    "1.2.840.113549.1.1.11": "sha256WithRSAEncryption", "1.2.840.113549.1.1.12": "sha384WithRSAEncryption",
    "1.2.840.113549.1.1.13": "sha512WithRSAEncryption", "1.2.840.10040.4.1": "dsa", "1.2.840.10040.4.3": "dsaWithSha1",
    "1.2.840.10045.2.1": "ecPublicKey", "1.2.840.10045.4.1": "ecdsa-with-SHA1", "1.2.840.10045.4.3.2": "ecdsa-with-SHA256",
    "1.2.840.10045.4.3.3": "ecdsa-with-SHA384", "1.2.840.10045.4.3.4": "ecdsa-with-SHA512",
    "1.2.840.10045.3.1.7": "secp256r1", "1.3.132.0.34": "secp384r1", "1.3.132.0.35": "secp521r1", "1.3.101.110": "X25519",
    "1.3.101.112": "Ed25519", "1.3.101.113": "Ed448", "2.5.29.14": "subjectKeyIdentifier", "2.5.29.15": "keyUsage",
    "2.5.29.16": "privateKeyUsagePeriod", "2.5.29.17": "subjectAltName", "2.5.29.18": "issuerAltName",
    "2.5.29.19": "basicConstraints", "2.5.29.30": "nameConstraints", "2.5.29.31": "cRLDistributionPoints",
    "2.5.29.32": "certificatePolicies", "2.5.29.32.0": "anyPolicy", "2.5.29.33": "policyMappings",
    "2.5.29.35": "authorityKeyIdentifier", "2.5.29.36": "policyConstraints", "2.5.29.37": "extKeyUsage",
    "2.5.29.37.0": "anyExtendedKeyUsage", "1.3.6.1.5.5.7.1.1": "authorityInfoAccess", "1.3.6.1.5.5.7.1.12": "logotype",
    "1.3.6.1.5.5.7.1.24": "tlsFeature", "1.3.6.1.5.5.7.3.1": "serverAuth", "1.3.6.1.5.5.7.3.2": "clientAuth",
    "1.3.6.1.5.5.7.3.3": "codeSigning", "1.3.6.1.5.5.7.3.4": "emailProtection", "1.3.6.1.5.5.7.3.8": "timeStamping",
    "1.3.6.1.5.5.7.3.9": "OCSPSigning", "1.3.6.1.5.5.7.48.1": "ocsp", "1.3.6.1.5.5.7.48.2": "caIssuers",
    "1.3.6.1.5.5.7.2.1": "cps", "1.3.6.1.5.5.7.2.2": "unotice", "1.3.6.1.4.1.11129.2.4.2": "signedCertificateTimestamps",
    "1.3.6.1.4.1.11129.2.4.3": "precertificatePoison", "1.3.6.1.4.1.11129.2.4.5": "signedCertificateTimestamps (OCSP)",
    "2.16.840.1.113730.1.1": "netscapeCertType", "1.3.6.1.5.5.7.48.1.1": "basicOCSPResponse",
    "1.3.6.1.5.5.7.48.1.2": "ocspNonce", "2.23.140.1.2.1": "domain validated", "2.23.140.1.2.2": "organization validated",
    "2.23.140.1.1": "extended validation", "2.23.140.1.2.3": "individual validated",
}  # fmt: skip
SHORT = {"commonName": "CN", "organizationName": "O", "organizationalUnitName": "OU", "countryName": "C", "localityName": "L",
         "stateOrProvinceName": "ST", "domainComponent": "DC", "userId": "UID"}  # fmt: skip
USAGES = ("digitalSignature", "contentCommitment", "keyEncipherment", "dataEncipherment", "keyAgreement", "keyCertSign",
          "cRLSign", "encipherOnly", "decipherOnly")  # fmt: skip
STRINGS = {
    der.UTF8: "x509sat.uTF8String", der.PRINTABLE: "x509sat.printableString", der.TELETEX: "x509sat.teletexString",
    der.BMP: "x509sat.bmpString", der.IA5: "x509sat.IA5String",
}  # fmt: skip
SHOWN_NAMES = 20  # in the line that stands for all of them; each has its own below it
ALTERNATIVE_NAMES = "2.5.29.17"
SCT_LISTS = frozenset({"1.3.6.1.4.1.11129.2.4.2", "1.3.6.1.4.1.11129.2.4.5"})

FIELDS = catalog(
    heading("x509af.signedCertificate_element", "Signed part"),
    sint("x509af.version", "Version", 8),
    octets("x509af.serialNumber", "Serial number"),
    heading("x509af.signature_element", "Signature algorithm"),
    oid("x509af.algorithm.id", "Algorithm"),
    octets("x509af.parameters_element", "Parameters"),
    uint("x509af.issuer", "Issuer", 32),
    heading("x509af.validity_element", "Validity"),
    uint("x509af.notBefore", "Not before", 32),
    uint("x509af.notAfter", "Not after", 32),
    string("x509af.utcTime", "Time"),
    string("x509af.generalizedTime", "Time"),
    uint("x509af.subject", "Subject", 32),
    heading("x509af.subjectPublicKeyInfo_element", "Public key"),
    heading("x509af.algorithm_element", "Algorithm"),
    octets("x509af.subjectPublicKey", "Key"),
    octets("pkcs1.modulus", "Modulus"),
    sint("pkcs1.publicExponent", "Public exponent", 32),
    oid("pkcs1.namedCurve", "Curve"),
    octets("x509af.issuerUniqueIdentifier", "Issuer's unique identifier"),
    octets("x509af.subjectUniqueIdentifier", "Subject's unique identifier"),
    uint("x509af.extensions", "Extensions", 32),
    heading("x509af.Extension_element", "Extension"),
    oid("x509af.extension.id", "Extension"),
    flag("x509af.critical", "Critical"),
    octets("x509af.extnValue", "Value"),
    heading("x509af.algorithmIdentifier_element", "Signature algorithm"),
    octets("x509af.encrypted", "Signature"),
    heading("x509if.RDNSequence_item", "Relative distinguished name"),
    oid("x509if.oid", "Attribute"),
    string("x509sat.CountryName", "Country"),
    string("x509sat.uTF8String", "Value"),
    string("x509sat.printableString", "Value"),
    string("x509sat.teletexString", "Value"),
    string("x509sat.bmpString", "Value"),
    string("x509sat.IA5String", "Value"),
    octets("x509if.any.String", "Value"),
    octets("x509ce.SubjectKeyIdentifier", "Key identifier"),
    octets("x509ce.keyIdentifier", "Key identifier"),
    octets("x509ce.KeyUsage", "Key usage"),
    *(flag(f"x509ce.KeyUsage.{name}", name) for name in USAGES),
    oid("x509ce.KeyPurposeId", "Purpose"),
    flag("x509ce.cA", "Is an authority"),
    uint("x509ce.pathLenConstraint", "Authorities below", 64),
    uint("x509ce.GeneralNames", "Names", 32),
    uint("x509ce.authorityCertIssuer", "Authority's issuer", 32),
    octets("x509ce.authorityCertSerialNumber", "Authority's serial number"),
    string("x509ce.rfc822Name", "Mail address"),
    string("x509ce.dNSName", "DNS name"),
    string("x509ce.uniformResourceIdentifier", "URI"),
    octets("x509ce.iPAddress", "IP address"),
    uint("x509ce.directoryName", "Directory name", 32),
    oid("x509ce.registeredID", "Registered id"),
    octets("x509ce.otherName_element", "Other name"),
    heading("x509ce.DistributionPoint_element", "Distribution point"),
    heading("x509ce.PolicyInformation_element", "Policy"),
    oid("x509ce.policyIdentifier", "Policy"),
    heading("pkix1implicit.AccessDescription_element", "Access"),
    oid("pkix1implicit.accessMethod", "Method"),
)


class Certificate(NamedTuple):
    """What a certificate says of itself; times are seconds since 1970, None where they cannot be read."""

    subject: str
    issuer: str
    begins: int | None
    ends: int | None
    names: tuple[str, ...]
    key: str


def certificate(c: Cursor, size: int, scts: Callable[[Cursor], None]) -> Certificate | None:
    """A certificate in the next `size` bytes; None, with an issue, where they are not one.

    scts: reads the list of signed certificate timestamps in an extension (RFC 6962, 3.3), whose form is TLS's.
    """
    start, found = c.pos, None
    with c.within(size):
        try:
            with der.node(c, None, der.SEQUENCE):
                with der.node(c, "x509af.signedCertificate_element", der.SEQUENCE):
                    found = _signed(c, scts)
                algorithm(c, "x509af.algorithmIdentifier_element")
                der.bit_string(c, "x509af.encrypted")
        except der.NotDer:
            c.issue("certificate", "not a certificate in DER (RFC 5280, 4.1)", Severity.WARNING, c.span(start, c.stop))
    return found


def _signed(c: Cursor, scts: Callable[[Cursor], None]) -> Certificate:
    if der.tag(c) == 0xA0:
        with der.node(c, None, 0xA0):
            version = der.integer(c, "x509af.version")
            c.last.text = f"v{version + 1} ({version})"
    der.contents(c, "x509af.serialNumber", der.INTEGER)
    algorithm(c, "x509af.signature_element")
    issuer = name(c, "x509af.issuer")
    with der.node(c, "x509af.validity_element", der.SEQUENCE) as field:
        begins, ends = _time(c, "x509af.notBefore"), _time(c, "x509af.notAfter")
        assert field is not None
        field.text = f"{date(begins)} to {date(ends)}"
    _check_validity(c, begins, ends)
    subject = name(c, "x509af.subject")
    key = _public_key(c)
    for context, unique in ((0x81, "x509af.issuerUniqueIdentifier"), (0x82, "x509af.subjectUniqueIdentifier")):
        if der.tag(c) == context:
            der.contents(c, unique)
    names: list[str] = []
    if der.tag(c) == 0xA3:
        with der.node(c, "x509af.extensions", 0xA3, value=0) as field, der.node(c, None, der.SEQUENCE):
            assert field is not None
            while c.remaining:
                extension(c, names, scts)
                field.value += 1
            field.text = f"{field.value}"
    return Certificate(subject, issuer, begins, ends, tuple(names), key)


def algorithm(c: Cursor, field: str) -> str:
    """AlgorithmIdentifier (4.1.1.2)."""
    with der.node(c, field, der.SEQUENCE) as group:
        value = der.oid(c, "x509af.algorithm.id", OIDS)
        word = OIDS.get(value, value)
        if der.tag(c) == der.OID:  # the curve of an elliptic-curve key
            word = OIDS.get(curve := der.oid(c, "pkcs1.namedCurve", OIDS), curve)
        elif c.remaining and der.tag(c) != der.NULL:
            c.octets("x509af.parameters_element", c.remaining)
        else:
            c.skip(c.remaining)
        assert group is not None
        group.text = word
    return word


def name(c: Cursor, field: str) -> str:
    """A Name (4.1.2.4) in words, most specific first (RFC 4514)."""
    with der.node(c, field, der.SEQUENCE, value=None if field.startswith("tls") else 0) as group:
        parts: list[str] = []
        while c.remaining:
            with der.node(c, "x509if.RDNSequence_item", der.SET) as item:
                pairs: list[str] = []
                while c.remaining:
                    with der.node(c, None, der.SEQUENCE):
                        pairs.append(_attribute(c))
                assert item is not None
                item.text = "+".join(pairs)
                parts.append(item.text)
        assert group is not None
        group.text = ",".join(reversed(parts))
    return group.text


def _attribute(c: Cursor) -> str:
    value = der.oid(c, "x509if.oid", OIDS)
    word, kind = OIDS.get(value, value), der.tag(c)
    size = der.enter(c)
    text = der.decode(c.peek(size), kind)
    start = c.pos
    c.skip(size)
    if kind in STRINGS:
        c.add("x509sat.CountryName" if word == "countryName" else STRINGS[kind], text, start, c.pos)
    else:
        c.add("x509if.any.String", c.slice(start, c.pos), start, c.pos)
    return f"{SHORT.get(word, word)}={text}"


def _time(c: Cursor, field: str) -> int | None:
    with c.group(field) as group:
        kind = der.tag(c)
        size = der.enter(c, der.UTC_TIME, der.GENERALIZED_TIME)
        text = der.decode(c.peek(size), kind)
        group.value = int(kind == der.GENERALIZED_TIME)
        seconds = seconds_of(text, kind)
        group.text = f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S} UTC" if seconds is not None else text
        start = c.pos
        c.skip(size)
        c.add("x509af.utcTime" if kind == der.UTC_TIME else "x509af.generalizedTime", text, start, c.pos, group.text)
    return seconds


def seconds_of(text: str, kind: int) -> int | None:
    """A time as RFC 5280 allows it (4.1.2.5): UTC to the second; two digits of a year stand for 1950 to 2049."""
    digits = text[:-1]
    if kind == der.UTC_TIME:
        digits = ("19" if text[:2] >= "50" else "20") + digits
    if not (text.endswith("Z") and len(digits) == 14 and digits.isascii() and digits.isdigit()):
        return None
    try:
        return int(datetime.strptime(digits, "%Y%m%d%H%M%S").replace(tzinfo=UTC).timestamp())
    except (ValueError, OverflowError):
        return None


def date(seconds: int | None) -> str:
    """The day of a time."""
    return "an unreadable time" if seconds is None else f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d}"


def _check_validity(c: Cursor, begins: int | None, ends: int | None) -> None:
    packet = c.context.packet
    if packet is None or begins is None or ends is None or begins <= packet.time_ns / 1e9 <= ends:
        return
    c.issue("certificate-validity", f"not valid when this was captured: valid {date(begins)} to {date(ends)}")


def _public_key(c: Cursor) -> str:
    with der.node(c, "x509af.subjectPublicKeyInfo_element", der.SEQUENCE) as group:
        word = algorithm(c, "x509af.algorithm_element")
        with der.node(c, None, der.BIT_STRING):
            c.skip(min(1, c.remaining))  # how many bits of the last octet are unused
            with c.group("x509af.subjectPublicKey", c.peek(c.remaining)) as key:
                if word == "rsaEncryption":
                    try:
                        word = key.text = _rsa_key(c)
                    except der.NotDer:
                        text = "not an RSA key in DER (RFC 8017, A.1.1)"
                        c.issue("certificate", text, Severity.WARNING, c.span(c.pos, c.stop))
                c.skip(c.remaining)
        assert group is not None
        group.text = word
    return word


def _rsa_key(c: Cursor) -> str:
    with der.node(c, None, der.SEQUENCE):
        modulus = der.contents(c, "pkcs1.modulus", der.INTEGER)
        der.integer(c, "pkcs1.publicExponent")
    return f"RSA {len(modulus.lstrip(bytes(1))) * 8} bits"


# --- extensions (RFC 5280, 4.2)


def extension(c: Cursor, names: list[str], scts: Callable[[Cursor], None]) -> None:
    """One extension; the subject's alternative names are added to `names`."""
    with der.node(c, "x509af.Extension_element", der.SEQUENCE) as group:
        kind = der.oid(c, "x509af.extension.id", OIDS)
        assert group is not None
        group.text = OIDS.get(kind, kind)
        if der.tag(c) == der.BOOLEAN and der.boolean(c, "x509af.critical"):
            group.text += ", critical"
        with der.node(c, None, der.OCTET_STRING):
            try:
                if (read := _EXTENSIONS.get(OIDS.get(kind, ""))) is not None:
                    read(c)
                elif kind in SCT_LISTS:
                    with der.node(c, None, der.OCTET_STRING):
                        scts(c)
                elif kind == ALTERNATIVE_NAMES:
                    _alternative_names(c, names)
            except der.NotDer:
                text = f"the extension {group.text} is not what RFC 5280 says it is"
                c.issue("certificate", text, Severity.WARNING, c.span(group.span.start, c.stop))
            if c.remaining:
                c.octets("x509af.extnValue", c.remaining)


def _alternative_names(c: Cursor, names: list[str]) -> None:
    with der.node(c, "x509ce.GeneralNames", der.SEQUENCE) as field:
        while c.remaining:
            names.append(_general_name(c))
        assert field is not None
        more = f", … {len(names):,} in all" if len(names) > SHOWN_NAMES else ""
        field.value, field.text = len(names), ", ".join(names[:SHOWN_NAMES]) + more


def _general_name(c: Cursor) -> str:
    """GeneralName (4.2.1.6)."""
    kind = der.tag(c)
    texts = {0x81: "x509ce.rfc822Name", 0x82: "x509ce.dNSName", 0x86: "x509ce.uniformResourceIdentifier"}
    if kind in texts:
        return c.string(texts[kind], der.enter(c))
    if kind == 0x87:
        size = der.enter(c)
        from ipaddress import ip_address

        text = str(ip_address(c.peek(size))) if size in (4, 16) else c.peek(size).hex()
        c.octets("x509ce.iPAddress", size, text)
        return text
    if kind == 0xA4:
        with der.node(c, None, 0xA4):
            return name(c, "x509ce.directoryName")
    return c.octets("x509ce.otherName_element", der.enter(c)).hex()


def _key_usage(c: Cursor) -> None:
    size = der.enter(c, der.BIT_STRING)
    with c.within(size):
        c.skip(min(1, c.remaining))  # how many bits of the last octet are unused
        bits = int.from_bytes(c.peek(2).ljust(2, b"\0"), "big")
        parts = [(f"x509ce.KeyUsage.{word}", 1) for word in USAGES]
        used = [word for at, word in enumerate(USAGES) if bits >> 15 - at & 1]
        with c.group("x509ce.KeyUsage", c.peek(c.remaining), ", ".join(used)):
            if c.remaining in (1, 2):
                c.bits(c.remaining, *parts[: c.remaining * 8])


def _purposes(c: Cursor) -> None:
    with der.node(c, None, der.SEQUENCE):
        while c.remaining:
            der.oid(c, "x509ce.KeyPurposeId", OIDS)


def _constraints(c: Cursor) -> None:
    with der.node(c, None, der.SEQUENCE):
        if der.tag(c) == der.BOOLEAN:
            der.boolean(c, "x509ce.cA")
        if der.tag(c) == der.INTEGER:
            der.integer(c, "x509ce.pathLenConstraint")


def _authority_key(c: Cursor) -> None:
    with der.node(c, None, der.SEQUENCE):
        if der.tag(c) == 0x80:
            der.contents(c, "x509ce.keyIdentifier")
        if der.tag(c) == 0xA1:
            with der.node(c, "x509ce.authorityCertIssuer", 0xA1, value=0) as field:
                assert field is not None
                while c.remaining:
                    _general_name(c)
                    field.value += 1
        if der.tag(c) == 0x82:
            der.contents(c, "x509ce.authorityCertSerialNumber")
        c.skip(c.remaining)


def _distribution_points(c: Cursor) -> None:
    with der.node(c, None, der.SEQUENCE):
        while c.remaining:
            with der.node(c, "x509ce.DistributionPoint_element", der.SEQUENCE):
                if der.tag(c) == 0xA0:
                    with der.node(c, None, 0xA0):
                        if der.tag(c) == 0xA0:
                            with der.node(c, None, 0xA0):
                                while c.remaining:
                                    _general_name(c)
                        c.skip(c.remaining)
                c.skip(c.remaining)


def _policies(c: Cursor) -> None:
    with der.node(c, None, der.SEQUENCE):
        while c.remaining:
            with der.node(c, "x509ce.PolicyInformation_element", der.SEQUENCE):
                der.oid(c, "x509ce.policyIdentifier", OIDS)
                c.skip(c.remaining)


def _information_access(c: Cursor) -> None:
    with der.node(c, None, der.SEQUENCE):
        while c.remaining:
            with der.node(c, "pkix1implicit.AccessDescription_element", der.SEQUENCE):
                der.oid(c, "pkix1implicit.accessMethod", OIDS)
                _general_name(c)


def _key_identifier(c: Cursor) -> None:
    der.contents(c, "x509ce.SubjectKeyIdentifier", der.OCTET_STRING)


_EXTENSIONS: dict[str, Callable[[Cursor], None]] = {
    "subjectKeyIdentifier": _key_identifier,
    "keyUsage": _key_usage,
    "extKeyUsage": _purposes,
    "basicConstraints": _constraints,
    "authorityKeyIdentifier": _authority_key,
    "cRLDistributionPoints": _distribution_points,
    "certificatePolicies": _policies,
    "authorityInfoAccess": _information_access,
}
