"""What DNS records carry: the data of each type (RFC 1035, 3.3; AAAA RFC 3596, SRV 2782, NAPTR 3403, DNSSEC 4034 and 5155,
SSHFP 4255, TLSA 6698, TSIG 8945, CAA 8659, SVCB and HTTPS 9460).

Not here: types that are met only in history; their data is shown as octets.
"""

from __future__ import annotations

from base64 import b32hexencode
from collections.abc import Callable

from inspector.core.cursor import Cursor
from inspector.core.field import Base, FieldSpec, Kind, catalog, flag, heading, ipv4, ipv6, octets, string, u8, u16, u32
from inspector.protocols.dns.domain import read_name
from inspector.protocols.dns.names import ALGORITHMS, DIGESTS, SVC_KEYS, TYPES

FIELDS = catalog(
    ipv4("dns.a", "Address"),
    ipv6("dns.aaaa", "Address"),
    string("dns.ns", "Name server"),
    string("dns.cname", "Canonical name"),
    string("dns.ptr.domain_name", "Domain name"),
    string("dns.dname", "Target"),
    u16("dns.mx.preference", "Preference"),
    string("dns.mx.mail_exchange", "Mail exchange"),
    u8("dns.txt.length", "Text length"),
    string("dns.txt", "Text"),
    u8("dns.spf.length", "Text length"),
    string("dns.spf", "Sender policy"),
    u8("dns.hinfo.cpu_length", "CPU length"),
    string("dns.hinfo.cpu", "CPU"),
    u8("dns.hinfo.os_length", "System length"),
    string("dns.hinfo.os", "System"),
    string("dns.rp.mailbox", "Mailbox"),
    string("dns.rp.txt_rr", "Text record"),
    u16("dns.afsdb.subtype", "Subtype"),
    string("dns.afsdb.hostname", "Host name"),
    string("dns.soa.mname", "Primary name server"),
    string("dns.soa.rname", "Responsible mailbox"),
    u32("dns.soa.serial_number", "Serial number"),
    u32("dns.soa.refresh_interval", "Refresh"),
    u32("dns.soa.retry_interval", "Retry"),
    u32("dns.soa.expire_limit", "Expire"),
    u32("dns.soa.minimum_ttl", "Minimum TTL"),
    u16("dns.srv.priority", "Priority"),
    u16("dns.srv.weight", "Weight"),
    u16("dns.srv.port", "Port"),
    string("dns.srv.target", "Target"),
    u16("dns.naptr.order", "Order"),
    u16("dns.naptr.preference", "Preference"),
    u8("dns.naptr.flags_length", "Flags length"),
    string("dns.naptr.flags", "Flags"),
    u8("dns.naptr.service_length", "Service length"),
    string("dns.naptr.service", "Service"),
    u8("dns.naptr.regex_length", "Expression length"),
    string("dns.naptr.regex", "Expression"),
    string("dns.naptr.replacement", "Replacement"),
    u16("dns.rrsig.type_covered", "Type covered", values=TYPES),
    u8("dns.rrsig.algorithm", "Algorithm", values=ALGORITHMS),
    u8("dns.rrsig.labels", "Labels"),
    u32("dns.rrsig.original_ttl", "Original TTL"),
    FieldSpec("dns.rrsig.signature_expiration", Kind.TIME, "Expires", 32),
    FieldSpec("dns.rrsig.signature_inception", Kind.TIME, "Valid from", 32),
    u16("dns.rrsig.key_tag", "Key tag"),
    string("dns.rrsig.signers_name", "Signer's name"),
    octets("dns.rrsig.signature", "Signature"),
    u16("dns.dnskey.flags", "Flags", Base.HEX),
    flag("dns.dnskey.flags.zone_key", "Zone key"),
    flag("dns.dnskey.flags.key_revoked", "Revoked"),
    flag("dns.dnskey.flags.secure_entry_point", "Secure entry point: signs keys"),
    u8("dns.dnskey.protocol", "Protocol"),
    u8("dns.dnskey.algorithm", "Algorithm", values=ALGORITHMS),
    u16("dns.dnskey.key_id", "Key tag"),
    octets("dns.dnskey.public_key", "Public key"),
    u16("dns.ds.key_id", "Key tag"),
    u8("dns.ds.algorithm", "Algorithm", values=ALGORITHMS),
    u8("dns.ds.digest_type", "Digest type", values=DIGESTS),
    octets("dns.ds.digest", "Digest"),
    string("dns.nsec.next_domain_name", "Next name"),
    heading("dns.type_bitmap", "Types that exist"),
    u8("dns.type_bitmap.window", "Window"),
    u8("dns.type_bitmap.length", "Length"),
    u16("dns.resp.type", "Type", values=TYPES),
    u8("dns.nsec3.algo", "Hash algorithm", values={1: "SHA-1"}),
    u8("dns.nsec3.flags", "Flags", Base.HEX),
    flag("dns.nsec3.flags.opt_out", "Opt-out: unsigned delegations are not covered"),
    u16("dns.nsec3.iterations", "Iterations"),
    u8("dns.nsec3.salt_length", "Salt length"),
    octets("dns.nsec3.salt_value", "Salt"),
    u8("dns.nsec3.hash_length", "Hash length"),
    octets("dns.nsec3.hash_value", "Next hashed owner"),
    u8("dns.sshfp.algorithm", "Algorithm", values={1: "RSA", 2: "DSA", 3: "ECDSA", 4: "Ed25519", 6: "Ed448"}),
    u8("dns.sshfp.fingerprint.type", "Fingerprint type", values={1: "SHA-1", 2: "SHA-256"}),
    octets("dns.sshfp.fingerprint", "Fingerprint"),
    u8("dns.tlsa.certificate_usage", "Usage", values={0: "PKIX-TA", 1: "PKIX-EE", 2: "DANE-TA", 3: "DANE-EE"}),
    u8("dns.tlsa.selector", "Selector", values={0: "Full certificate", 1: "Public key"}),
    u8("dns.tlsa.matching_type", "Matching type", values={0: "Exact", 1: "SHA-256", 2: "SHA-512"}),
    octets("dns.tlsa.certificate_association_data", "Association data"),
    string("dns.tsig.algorithm_name", "Algorithm"),
    FieldSpec("dns.tsig.time_signed", Kind.TIME, "Time signed", 48),
    u16("dns.tsig.fudge", "Seconds of error allowed"),
    u16("dns.tsig.mac_size", "MAC length"),
    octets("dns.tsig.mac", "MAC"),
    u16("dns.tsig.original_id", "Original id", Base.HEX),
    u16("dns.tsig.error", "Error", values={0: "No error", 16: "Bad signature", 17: "Bad key", 18: "Bad time"}),
    u16("dns.tsig.other_len", "Other length"),
    octets("dns.tsig.other_data", "Other data"),
    u16("dns.svcb.svcpriority", "Priority"),
    string("dns.svcb.targetname", "Target"),
    heading("dns.svcb.svcparam", "Parameter"),
    u16("dns.svcb.svcparam.key", "Key", values=SVC_KEYS),
    u16("dns.svcb.svcparam.value.length", "Length"),
    octets("dns.svcb.svcparam.value", "Value"),
    u16("dns.svcb.svcparam.mandatory.key", "Mandatory key", values=SVC_KEYS),
    u8("dns.svcb.svcparam.alpn.length", "ALPN length"),
    string("dns.svcb.svcparam.alpn", "ALPN"),
    u16("dns.svcb.svcparam.port", "Port"),
    ipv4("dns.svcb.svcparam.ipv4hint.ip", "IPv4 hint"),
    ipv6("dns.svcb.svcparam.ipv6hint.ip", "IPv6 hint"),
    octets("dns.svcb.svcparam.echconfig", "Encrypted ClientHello configuration"),
    u8("dns.caa.flags", "Flags", Base.HEX),
    flag("dns.caa.flags.issuer_critical", "Critical: who does not know the tag must not issue"),
    u8("dns.caa.tag_length", "Tag length"),
    string("dns.caa.tag", "Tag"),
    string("dns.caa.value", "Value"),
    octets("dns.rdata", "Data"),
)

Reader = Callable[[Cursor, int], str]  # reads the data of a record; base is where the message begins; returns it in words


def record_data(c: Cursor, kind: int, base: int) -> str:
    """The data of a record of type `kind`: what is left of the cursor. Returns it in words."""
    reader = _READERS.get(kind)
    text = reader(c, base) if reader is not None else f"{c.remaining:,} bytes"
    if c.remaining:
        c.octets("dns.rdata", c.remaining)
    return text


def _address(field: str, size: int) -> Reader:
    def read(c: Cursor, base: int) -> str:
        if c.remaining != size:
            return f"{c.remaining:,} bytes"
        c.octets(field, size)
        return c.last.text

    return read


def _domain(field: str) -> Reader:
    return lambda c, base: read_name(c, field, base)


def _texts(field: str) -> Reader:
    def read(c: Cursor, base: int) -> str:
        texts = []
        while c.remaining:
            texts.append(c.string(field, c.uint(f"{field}.length", 1)))
        return " ".join(f"“{text}”" for text in texts)

    return read


def _preferred(number: str, field: str) -> Reader:
    """A number, then a name: MX and its kin."""

    def read(c: Cursor, base: int) -> str:
        return f"{c.uint(number, 2)} {read_name(c, field, base)}"

    return read


def _soa(c: Cursor, base: int) -> str:
    primary = read_name(c, "dns.soa.mname", base)
    read_name(c, "dns.soa.rname", base)
    for name in ("serial_number", "refresh_interval", "retry_interval", "expire_limit", "minimum_ttl"):
        c.uint(f"dns.soa.{name}", 4)
    return primary


def _srv(c: Cursor, base: int) -> str:
    for name in ("priority", "weight"):
        c.uint(f"dns.srv.{name}", 2)
    port = c.uint("dns.srv.port", 2)
    return f"{read_name(c, 'dns.srv.target', base)}:{port}"


def _naptr(c: Cursor, base: int) -> str:
    for name in ("order", "preference"):
        c.uint(f"dns.naptr.{name}", 2)
    words = [c.string(f"dns.naptr.{name}", c.uint(f"dns.naptr.{name}_length", 1)) for name in ("flags", "service", "regex")]
    return " ".join([*words, read_name(c, "dns.naptr.replacement", base)])


def _hinfo(c: Cursor, base: int) -> str:
    return " ".join(c.string(f"dns.hinfo.{name}", c.uint(f"dns.hinfo.{name}_length", 1)) for name in ("cpu", "os"))


def _rp(c: Cursor, base: int) -> str:
    return f"{read_name(c, 'dns.rp.mailbox', base)} {read_name(c, 'dns.rp.txt_rr', base)}"


# --- DNSSEC (RFC 4034, 5155)


def _rrsig(c: Cursor, base: int) -> str:
    covered = c.uint("dns.rrsig.type_covered", 2)
    c.uint("dns.rrsig.algorithm", 1)
    c.uint("dns.rrsig.labels", 1)
    c.uint("dns.rrsig.original_ttl", 4)
    _time(c, "dns.rrsig.signature_expiration", 4)
    _time(c, "dns.rrsig.signature_inception", 4)
    tag = c.uint("dns.rrsig.key_tag", 2)
    signer = read_name(c, "dns.rrsig.signers_name", base)
    c.octets("dns.rrsig.signature", c.remaining)
    return f"signature over {TYPES.get(covered, covered)} by key {tag} of {signer}"


def _time(c: Cursor, field: str, size: int) -> None:
    """Seconds since 1970."""
    seconds = c.peek_uint(size)
    c.add(field, seconds * 1_000_000_000, c.pos, c.pos + size)
    c.skip(size)


def _dnskey(c: Cursor, base: int) -> str:
    start, whole = c.pos, c.peek(c.remaining)
    parts = ((None, 7), ("dns.dnskey.flags.zone_key", 1), ("dns.dnskey.flags.key_revoked", 1), (None, 6))
    flags = c.flags("dns.dnskey.flags", 2, *parts, ("dns.dnskey.flags.secure_entry_point", 1))
    c.uint("dns.dnskey.protocol", 1)
    algorithm = c.uint("dns.dnskey.algorithm", 1)
    c.octets("dns.dnskey.public_key", c.remaining)
    tag = key_tag(whole)
    c.generated("dns.dnskey.key_id", tag, c.span(start))
    return f"{'key-signing' if flags & 1 else 'zone-signing'} key {tag}, {ALGORITHMS.get(algorithm, algorithm)}"


def key_tag(data: bytes) -> int:
    """The number by which signatures name a key: a sum over its record's data (RFC 4034, appendix B)."""
    total = sum(octet << 8 if at % 2 == 0 else octet for at, octet in enumerate(data))
    return (total + (total >> 16 & 0xFFFF)) & 0xFFFF


def _ds(c: Cursor, base: int) -> str:
    tag = c.uint("dns.ds.key_id", 2)
    c.uint("dns.ds.algorithm", 1)
    digest = c.uint("dns.ds.digest_type", 1)
    c.octets("dns.ds.digest", c.remaining)
    return f"{DIGESTS.get(digest, digest)} of key {tag}"


def _nsec(c: Cursor, base: int) -> str:
    following = read_name(c, "dns.nsec.next_domain_name", base)
    return f"nothing up to {following}; here: {_types(c)}"


def _nsec3(c: Cursor, base: int) -> str:
    c.uint("dns.nsec3.algo", 1)
    c.flags("dns.nsec3.flags", 1, (None, 7), ("dns.nsec3.flags.opt_out", 1))
    _nsec3_salt(c)
    size = c.uint("dns.nsec3.hash_length", 1)
    following = b32hexencode(c.peek(size)).decode("ascii").rstrip("=").lower()
    c.octets("dns.nsec3.hash_value", size, following)
    return f"nothing up to {following}; here: {_types(c)}"


def _nsec3_salt(c: Cursor) -> None:
    c.uint("dns.nsec3.iterations", 2)
    size = c.uint("dns.nsec3.salt_length", 1)
    if size:
        c.octets("dns.nsec3.salt_value", size)


def _nsec3param(c: Cursor, base: int) -> str:
    c.uint("dns.nsec3.algo", 1)
    c.uint("dns.nsec3.flags", 1)
    _nsec3_salt(c)
    return "how names are hashed"


def _types(c: Cursor) -> str:
    """Which types a name has, a bit for each, in windows of 256 (RFC 4034, 4.1.2)."""
    found = []
    while c.remaining:
        with c.group("dns.type_bitmap") as group:
            window = c.uint("dns.type_bitmap.window", 1)
            names = []
            for at in range(c.uint("dns.type_bitmap.length", 1)):
                octet = c.peek_uint(1)
                c.skip(1)
                for bit in range(8):
                    if octet & 0x80 >> bit:
                        kind = window * 256 + at * 8 + bit
                        c.add("dns.resp.type", kind, c.pos - 1, c.pos, bits=(bit, 1))
                        names.append(str(TYPES.get(kind, kind)))
            group.text = " ".join(names)
            found += names
    return " ".join(found)


# --- services and keys


def _sshfp(c: Cursor, base: int) -> str:
    c.uint("dns.sshfp.algorithm", 1)
    c.uint("dns.sshfp.fingerprint.type", 1)
    return c.octets("dns.sshfp.fingerprint", c.remaining).hex()


def _tlsa(c: Cursor, base: int) -> str:
    for name in ("certificate_usage", "selector", "matching_type"):
        c.uint(f"dns.tlsa.{name}", 1)
    return c.octets("dns.tlsa.certificate_association_data", c.remaining).hex()


def _tsig(c: Cursor, base: int) -> str:
    algorithm = read_name(c, "dns.tsig.algorithm_name", base)
    _time(c, "dns.tsig.time_signed", 6)
    c.uint("dns.tsig.fudge", 2)
    c.octets("dns.tsig.mac", c.uint("dns.tsig.mac_size", 2))
    c.uint("dns.tsig.original_id", 2)
    c.uint("dns.tsig.error", 2)
    size = c.uint("dns.tsig.other_len", 2)
    if size:
        c.octets("dns.tsig.other_data", size)
    return f"signed with {algorithm}"


def _caa(c: Cursor, base: int) -> str:
    c.flags("dns.caa.flags", 1, ("dns.caa.flags.issuer_critical", 1), (None, 7))
    tag = c.string("dns.caa.tag", c.uint("dns.caa.tag_length", 1))
    return f"{tag} {c.string('dns.caa.value', c.remaining)}"


def _service(c: Cursor, base: int) -> str:
    priority = c.uint("dns.svcb.svcpriority", 2)
    target = read_name(c, "dns.svcb.targetname", base)
    while c.remaining:
        with c.group("dns.svcb.svcparam") as parameter:
            key = c.uint("dns.svcb.svcparam.key", 2)
            parameter.text = SVC_KEYS.get(key, f"key{key}")
            with c.within(c.uint("dns.svcb.svcparam.value.length", 2)):
                _parameter(c, key)
    return f"{priority} {target}"


def _parameter(c: Cursor, key: int) -> None:
    """The value of a service parameter (RFC 9460, 7 and 8)."""
    if key == 3:
        c.uint("dns.svcb.svcparam.port", 2)
    while c.remaining:
        if key == 0:
            c.uint("dns.svcb.svcparam.mandatory.key", 2)
        elif key == 1:
            c.string("dns.svcb.svcparam.alpn", c.uint("dns.svcb.svcparam.alpn.length", 1))
        elif key == 4:
            c.octets("dns.svcb.svcparam.ipv4hint.ip", 4)
        elif key == 6:
            c.octets("dns.svcb.svcparam.ipv6hint.ip", 16)
        else:
            c.octets("dns.svcb.svcparam.echconfig" if key == 5 else "dns.svcb.svcparam.value", c.remaining)


_READERS: dict[int, Reader] = {
    1: _address("dns.a", 4),
    2: _domain("dns.ns"),
    5: _domain("dns.cname"),
    6: _soa,
    12: _domain("dns.ptr.domain_name"),
    13: _hinfo,
    15: _preferred("dns.mx.preference", "dns.mx.mail_exchange"),
    16: _texts("dns.txt"),
    17: _rp,
    18: _preferred("dns.afsdb.subtype", "dns.afsdb.hostname"),
    28: _address("dns.aaaa", 16),
    33: _srv,
    35: _naptr,
    39: _domain("dns.dname"),
    43: _ds,
    44: _sshfp,
    46: _rrsig,
    47: _nsec,
    48: _dnskey,
    50: _nsec3,
    51: _nsec3param,
    52: _tlsa,
    59: _ds,
    60: _dnskey,
    64: _service,
    65: _service,
    99: _texts("dns.spf"),
    250: _tsig,
    257: _caa,
}
