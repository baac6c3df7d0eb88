"""What a TLS handshake message means: which step it is, what its own bytes settle, what follows (RFC 8446; RFC 5246)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from inspector.core.field import Field
from inspector.core.layer import Layer, Note
from inspector.protocols.tls.cipher_suites import CIPHER_SUITES, SIGNALS
from inspector.protocols.tls.names import GROUPS, SIGNATURES
from inspector.protocols.tls.wire import HELLO_RETRY, VERSIONS

_E = "tls.handshake.extensions"
DOWNGRADES = {b"DOWNGRD\x01": "TLS 1.2", b"DOWNGRD\x00": "TLS 1.1 or older"}  # RFC 8446, 4.1.3
TLS13_SUITES = range(0x1301, 0x1306)


class Reader:
    """The fields of a message by name, and its extensions by type."""

    def __init__(self, layer: Layer) -> None:
        self.layer = layer
        self.fields: dict[str, list[Field]] = {}
        self.extensions: dict[int, Field] = {}
        for field in layer.walk():
            self.fields.setdefault(field.name, []).append(field)
            if field.name == "tls.handshake.extension" and field.children:
                self.extensions.setdefault(field.children[0].value, field)

    def first(self, name: str) -> Field | None:
        found = self.fields.get(name)
        return found[0] if found else None

    def values(self, name: str) -> list[Any]:
        return [field.value for field in self.fields.get(name, [])]


def explain(layer: Layer) -> list[Note]:
    told = _TELLERS.get(layer.value("tls.handshake.type"))
    return told(Reader(layer)) if told is not None else []


def _words(names: list[str], most: int = 4) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _real(values: list[int]) -> list[int]:
    return [value for value in values if value & 0x0F0F != 0x0A0A or value >> 8 != value & 255]


def _offer(read: Reader) -> list[Note]:
    versions = _real(read.values(f"{_E}.supported_version"))
    version = read.first("tls.handshake.version")
    if version is None:
        return []
    if versions:
        text = _words([VERSIONS.get(value, f"{value:#06x}") for value in versions])
        why = f"The client offers {text}. The old version field says {version.text} for servers that do not know better."
        notes = [Note(read.extensions[43].span, "the offer", why, "RFC 8446, 4.2.1")]
    else:
        why = f"{version.text} is the newest version that the client offers; the server may choose an older one."
        why += " TLS 1.3 would need the extension supported_versions."
        notes = [Note(version.span, "the offer", why, "RFC 5246, 7.4.1.2 and E.1")]
    listed = _real(read.values("tls.handshake.ciphersuite"))
    suites = [suite for suite in listed if suite not in SIGNALS]
    group = read.first("tls.handshake.ciphersuites")
    if group is not None and suites:
        new = sum(suite in TLS13_SUITES for suite in suites)
        kinds = f", {new} of them for TLS 1.3" if new and versions else ""
        first = CIPHER_SUITES.get(suites[0], hex(suites[0]))
        why = f"{len(suites)} cipher suites{kinds}, the one that it likes best first: {first}. The server chooses one of these."
        signals = [CIPHER_SUITES[value] for value in listed if value in SIGNALS]
        if signals:
            why += f" {_words(signals)} beside them is a signal and no suite."
        notes.append(Note(group.span, "cipher suites", why, "RFC 8446, 4.1.2"))
    notes += _grease_note(read)
    name = read.first(f"{_E}_server_name")
    if name is not None:
        why = "The name goes in clear, because the server must know which certificate to show before there are keys."
        notes.append(Note(name.span, "server name", why, "RFC 6066, 3"))
    protocols = [str(value) for value in read.values(f"{_E}_alpn_str")]
    if protocols:
        why = f"What the client can speak inside: {_words(protocols)}. The server settles it without another round trip."
        notes.append(Note(read.extensions[16].span, "application protocols", why, "RFC 7301, 3.1"))
    shares = _real(read.values(f"{_E}_key_share_group"))
    if 51 in read.extensions:
        words = _words([GROUPS.get(value, hex(value)) for value in shares])
        if shares:
            why = f"Key shares for {words}: if the server likes one of these groups, the keys are there after one round trip."
        else:
            why = "No key share: the client asks the server to choose a group first, which costs a round trip."
        notes.append(Note(read.extensions[51].span, "key shares", why, "RFC 8446, 4.2.8"))
    notes += _resumption(read)
    if 0xFE0D in read.extensions:
        why = (
            "This may be an outer hello: the true name may be in the encrypted one. Clients also send a random one, so that the"
        )
        why += " extension says nothing."
        notes.append(Note(read.extensions[0xFE0D].span, "encrypted ClientHello", why, "RFC 9849, 5 and 6.2"))
    return notes


def _grease_note(read: Reader) -> list[Note]:
    names = ("tls.handshake.ciphersuite", "tls.handshake.extension.type", f"{_E}_supported_group")
    found = next((f for name in names for f in read.fields.get(name, []) if not _real([f.value])), None)
    if found is None:
        return []
    why = "Values that mean nothing, so that servers keep ignoring what they do not know. Fingerprints leave them out."
    return [Note(found.span, "GREASE", why, "RFC 8701, 3")]


def _resumption(read: Reader) -> list[Note]:
    notes = []
    identities = read.fields.get(f"{_E}.psk.identity", [])
    if identities:
        count = len(identities)
        tickets = "a ticket" if count == 1 else f"{count} tickets"
        why = f"The client shows {tickets} of an earlier session (or names a key that both were given). The binders, which"
        why += " cover this hello up to them, prove that it has the secret."
        notes.append(Note(read.extensions[41].span, "resumption", why, "RFC 8446, 4.2.11"))
    ticket = read.extensions.get(35)
    if ticket is not None and ticket.span.size > 4:
        why = "The client gives back a ticket: if the server accepts it, certificate and key exchange are left out."
        notes.append(Note(ticket.span, "resumption", why, "RFC 5077, 3.2"))
    if 42 in read.extensions:
        why = "Application data follows at once, before the server has answered. An attacker could replay it."
        notes.append(Note(read.extensions[42].span, "0-RTT", why, "RFC 8446, 2.3"))
    return notes


def _choice(read: Reader) -> list[Note]:
    suite, version = read.first("tls.handshake.ciphersuite"), read.first("tls.handshake.version")
    random = read.first("tls.handshake.random")
    if suite is None or version is None or random is None:
        return []
    chosen = read.first(f"{_E}.supported_version")
    group = read.first(f"{_E}_key_share_group") or read.first(f"{_E}_key_share_selected_group")
    if random.value == HELLO_RETRY:
        wanted = (
            f"a key share for {group.text}"
            if group is not None
            else "a cookie back"
            if 44 in read.extensions
            else "a new hello"
        )
        why = f"The random is a fixed value that says: try again. The server wants {wanted}; a second ClientHello follows."
        return [Note(random.span, "hello retry", why, "RFC 8446, 4.1.4")]
    notes = []
    if chosen is not None:
        why = (
            f"The server chooses {chosen.text} here; the old version field stays at {version.text} for the sake of middleboxes."
        )
        notes.append(Note(chosen.span, "version", why, "RFC 8446, 4.2.1"))
        why = f"{suite.text}: the cipher and the hash of the key schedule. What the server says next is encrypted with it."
        notes.append(Note(suite.span, "cipher suite", why, "RFC 8446, 4.1.3"))
    else:
        notes.append(Note(version.span, "version", f"The server chooses {version.text}.", "RFC 5246, 7.4.1.3"))
        why = f"{suite.text}: how keys are agreed, who signs, and the cipher. {_suite_words(suite.value)}"
        notes.append(Note(suite.span, "cipher suite", why.rstrip(), "RFC 5246, 7.4.1.3"))
    if group is not None:
        why = (
            f"The server's share for {group.text}. With the client's it makes the secret, which is new each time: past traffic"
        )
        why += " stays safe if the certificate's key leaks later."
        notes.append(Note(read.extensions.get(51, group).span, "key share", why, "RFC 8446, 4.2.8"))
    psk = read.first(f"{_E}.psk.identity.selected")
    if psk is not None:
        why = f"The server accepts number {psk.value + 1} of the tickets or keys in the hello: no certificate follows, what"
        why += " both know from before vouches."
        notes.append(Note(psk.span, "resumption", why, "RFC 8446, 2.2"))
    downgrade = DOWNGRADES.get(random.value[-8:])
    if downgrade is not None and chosen is None:
        why = f"The last eight bytes say that this server could do better than {downgrade}. A client that offered"
        why += " TLS 1.3 must stop here: somebody may have changed its hello."
        notes.append(Note(random.span, "downgrade mark", why, "RFC 8446, 4.1.3"))
    return notes + _server_extensions(read)


def _suite_words(suite: int) -> str:
    name = CIPHER_SUITES.get(suite, "")
    exchange = name.removeprefix("TLS_").partition("_WITH_")[0]
    if exchange.startswith(("ECDHE", "DHE")):
        return "Keys are agreed anew each time: past traffic stays safe if the certificate's key leaks later."
    if exchange == "RSA":
        return "The client encrypts the secret to the certificate's key: whoever gets that key can read old traffic too."
    return ""


def _server_extensions(read: Reader) -> list[Note]:
    notes = []
    alpn = read.first(f"{_E}_alpn_str")
    if alpn is not None:
        why = f"Inside, {alpn.text} is spoken: the server has chosen from what the client offered."
        notes.append(Note(alpn.span, "application protocol", why, "RFC 7301, 3.1"))
    if 23 in read.extensions:
        why = "The master secret will be bound to this whole handshake, not only to the randoms."
        notes.append(Note(read.extensions[23].span, "extended master secret", why, "RFC 7627, 4"))
    if 22 in read.extensions:
        why = "Records are encrypted first and authenticated then, which closes the padding attacks on CBC."
        notes.append(Note(read.extensions[22].span, "encrypt-then-MAC", why, "RFC 7366, 3"))
    return notes


def _encrypted_extensions(read: Reader) -> list[Note]:
    count = len(read.extensions)
    what = f"{count} extension{'s' if count != 1 else ''}"
    why = "The first encrypted message: the server's answer to those extensions of the client that the keys do not depend on"
    why += f" ({what})."
    notes = [Note(read.layer.span, "the rest of the answer", why, "RFC 8446, 4.3.1"), *_server_extensions(read)]
    if 42 in read.extensions:
        why = "The server has accepted the early data that the client sent with its first flight."
        notes.append(Note(read.extensions[42].span, "0-RTT accepted", why, "RFC 8446, 4.2.10"))
    return notes


def _certificates(read: Reader) -> list[Note]:
    new = "tls.handshake.certificate_request_context_length" in read.fields
    found = read.fields.get("tls.handshake.certificate", [])
    if not found:
        why = "No certificate: this side was asked for one and has none that fits."
        return [Note(read.layer.span, "an empty list", why, "RFC 8446, 4.4.2" if new else "RFC 5246, 7.4.6")]
    reference = "RFC 8446, 4.4.2" if new else "RFC 5246, 7.4.2"
    notes = []
    names = [field for field in found[0].walk() if field.name == "x509ce.dNSName"]
    what = f", for {_words([str(field.value) for field in names], 3)}" if names else ""
    why = f"This side is {found[0].text}{what}. It must prove that it has the key to it: nobody can only show a copy."
    notes.append(Note(found[0].span, "who I am", why, reference))
    issuers = [_part(field, "x509af.issuer") for field in found]
    subjects = [_part(field, "x509af.subject") for field in found]
    for at, field in enumerate(found):
        if not issuers[at]:
            continue
        if issuers[at] == subjects[at]:
            why = "Issuer and subject are the same: nobody else vouches for it: it counts only where it is trusted by itself."
            notes.append(Note(field.span, "self-issued", why, "RFC 5280, 3.2"))
        elif at + 1 < len(found) and issuers[at] == subjects[at + 1]:
            notes.append(Note(field.span, "chain", f"Issued by the next one in the list, {subjects[at + 1]}.", reference))
        elif at + 1 == len(found):
            why = f"Issued by {issuers[at]}, which is not sent: the other side must have it already."
            notes.append(Note(field.span, "end of the chain", why, reference))
        else:
            why = f"Issued by {issuers[at]}, which is not the next one in the list."
            notes.append(Note(field.span, "out of order", why, reference))
    return notes


def _part(certificate: Field, name: str) -> str:
    return next((field.text for field in certificate.walk() if field.name == name), "")


def _server_key_exchange(read: Reader) -> list[Note]:
    notes = []
    curve, prime = read.first("tls.handshake.server_named_curve"), read.first("tls.handshake.p")
    if curve is not None:
        why = f"The server's share for {curve.text}, apart from the certificate's key; the client answers with its own."
        notes.append(Note(curve.span, "key share", why, "RFC 8422, 5.4"))
    elif prime is not None:
        bits = len(prime.value.lstrip(b"\0")) * 8
        weak = " That is too short to be safe today." if bits < 2048 else ""
        why = f"Diffie-Hellman with a prime of {bits:,} bits, which the server has chosen.{weak}"
        notes.append(Note(prime.span, "key share", why, "RFC 5246, 7.4.3; RFC 7919" if weak else "RFC 5246, 7.4.3"))
    signature, scheme = read.first("tls.handshake.sig"), read.first("tls.handshake.sig_hash_alg")
    if signature is not None:
        how = f" with {SIGNATURES.get(scheme.value, scheme.text)}" if scheme is not None else ""
        why = f"Both randoms and the share, signed{how} by the certificate's key: this proves that the server has it."
        notes.append(Note(signature.span, "signature", why, "RFC 5246, 7.4.3"))
    return notes


def _certificate_request(read: Reader) -> list[Note]:
    reference = "RFC 8446, 4.3.2" if "tls.handshake.certificate_request_context_length" in read.fields else "RFC 5246, 7.4.4"
    authorities = len(read.fields.get("tls.handshake.dname", []))
    of = f" issued by one of {authorities} authorities" if authorities else ""
    why = f"The server asks who the client is: a certificate{of}. The client may answer with an empty list."
    return [Note(read.layer.span, "client certificate wanted", why, reference)]


def _hello_done(read: Reader) -> list[Note]:
    why = f"{read.layer.span.size} bytes that say nothing else: the server's flight ends here. The client's key exchange,"
    why += " ChangeCipherSpec and Finished come next."
    return [Note(read.layer.span, "your turn", why, "RFC 5246, 7.4.5")]


def _certificate_verify(read: Reader) -> list[Note]:
    scheme = read.first("tls.handshake.sig_hash_alg")
    how = f" ({SIGNATURES.get(scheme.value, scheme.text)})" if scheme is not None else ""
    why = f"The whole handshake so far, signed{how} with the key of the certificate that this side has shown."
    return [Note(read.layer.span, "proof of the key", why, "RFC 8446, 4.4.3; RFC 5246, 7.4.8")]


def _client_key_exchange(read: Reader) -> list[Note]:
    secret = read.first("tls.handshake.epms")
    if secret is not None:
        why = "The premaster secret, encrypted to the certificate's key: only who has that key can go on, now or years later."
        return [Note(secret.span, "the secret", why, "RFC 5246, 7.4.7.1")]
    share = read.first("tls.handshake.client_point") or read.first("tls.handshake.yc")
    size = share.span.size if share is not None else read.layer.span.size
    why = f"The client's share, {size} bytes: from here on both sides can derive the keys. ChangeCipherSpec and Finished come"
    why += " next."
    return [Note(share.span if share is not None else read.layer.span, "key share", why, "RFC 5246, 7.4.7")]


def _finished(read: Reader) -> list[Note]:
    data = read.first("tls.handshake.verify_data")
    if data is None:
        return []
    old = data.span.size in (12, 36)  # TLS up to 1.2; SSL 3.0
    reference = "RFC 5246, 7.4.9" if old else "RFC 8446, 4.4.4"
    why = f"{data.span.size} bytes that depend on the whole handshake and on its keys: if anybody has changed a byte of it,"
    why += " or has"
    why += " other keys, it fails here."
    return [Note(data.span, "finished", why, reference)]


def _ticket(read: Reader) -> list[Note]:
    seconds, nonce = (
        read.first("tls.handshake.session_ticket_lifetime_hint"),
        read.first("tls.handshake.session_ticket_nonce_length"),
    )
    if seconds is None:
        return []
    reference = "RFC 5077, 3.3" if nonce is None else "RFC 8446, 4.6.1"
    if seconds.value:
        why = f"With this ticket the client can come back within {seconds.value:,} seconds{_also(seconds.value)} and leave"
        why += " out the certificate."
    elif nonce is None:
        why = "With this ticket the client can come back and leave out the certificate; for how long is not said."
    else:
        why = "A lifetime of 0: the client is to throw this ticket away at once."
    if seconds.value and nonce is None:
        why += " The time is a hint: the server may forget sooner."
    notes = [Note(read.layer.span, "a ticket", why, reference)]
    early = read.first("tls.early_data.max_early_data_size")
    if early is not None:
        why = f"It may then send up to {early.value:,} bytes before the server has answered (0-RTT)."
        notes.append(Note(early.span, "0-RTT allowed", why, "RFC 8446, 4.6.1"))
    return notes


def _also(seconds: int) -> str:
    """` (5 minutes)`: in the largest unit that loses nothing; empty where that is the second."""
    units = ((86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second"))
    size, word = next(unit for unit in units if seconds % unit[0] == 0)
    return f" ({seconds // size:,} {word}{'s' if seconds != size else ''})" if size > 1 else ""


def _status(read: Reader) -> list[Note]:
    found = read.first("ocsp.certStatus")
    word = f": {found.text}" if found is not None else ""
    why = f"The server brings the authority's word on its certificate{word}. The client need not ask the authority itself."
    return [Note(found.span if found is not None else read.layer.span, "stapled status", why, "RFC 6066, 8")]


def _key_update(read: Reader) -> list[Note]:
    asked = read.first("tls.handshake.key_update.request_update")
    more = " and asks the other side to do the same" if asked is not None and asked.value == 1 else ""
    why = f"From its next record on this side uses new keys{more}."
    return [Note(read.layer.span, "new keys", why, "RFC 8446, 4.6.3")]


def _end_of_early_data(read: Reader) -> list[Note]:
    why = "The early data ends here; what follows is under the keys of the handshake."
    return [Note(read.layer.span, "end of 0-RTT", why, "RFC 8446, 4.5")]


def _hello_request(read: Reader) -> list[Note]:
    why = "The server asks the client to begin a new handshake inside this connection; the client may ignore it."
    return [Note(read.layer.span, "renegotiation", why, "RFC 5246, 7.4.1.1")]


def _compressed(read: Reader) -> list[Note]:
    notes = [
        Note(read.layer.span, "compressed", "The Certificate message, made shorter with what the peer can open.", "RFC 8879, 4")
    ]
    return notes + (_certificates(read) if "tls.handshake.certificate" in read.fields else [])


_TELLERS: dict[int, Callable[[Reader], list[Note]]] = {
    0: _hello_request, 1: _offer, 2: _choice, 4: _ticket, 5: _end_of_early_data, 8: _encrypted_extensions, 11: _certificates,
    12: _server_key_exchange, 13: _certificate_request, 14: _hello_done, 15: _certificate_verify, 16: _client_key_exchange,
    20: _finished, 22: _status, 24: _key_update, 25: _compressed,
}  # fmt: skip
