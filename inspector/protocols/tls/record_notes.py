"""What a TLS record means: what it shows outside, which keys opened it, what an alert says (RFC 8446, 5 and 6; RFC 5246)."""

from __future__ import annotations

from inspector.core.layer import Layer, Note, Rank
from inspector.protocols.tls.names import ALERTS

MEANS_NOTHING = "means nothing in TLS 1.3"
NO_RENEGOTIATION, WARNING = 100, 1
CLOSURE = (0, 90)
ALERT_NOTES = {
    0: "The sender has said all it will say. Without this alert an end could have been cut off by somebody on the way.",
    10: "The sender got a message that has no place at this point.",
    20: "A record did not authenticate: it was changed on the way, or the two sides do not have the same keys.",
    40: "The sender finds nothing in the other side's offer that it accepts (versions, cipher suites, groups); before TLS 1.3"
    " also for want of a client certificate.",
    42: "The sender finds the other side's certificate damaged, or its signature wrong; some libraries also say so when it is"
    " made for another name.",
    43: "The other side's certificate is of a kind that the sender cannot use.",
    44: "The authority has taken the other side's certificate back.",
    45: "The other side's certificate is not valid now: it has expired, or the sender's clock is wrong.",
    46: "The sender does not accept the other side's certificate, and does not say why.",
    47: "A value in the handshake is out of range, or contradicts another one.",
    48: "The sender does not know the authority behind the other side's certificate, or does not trust it: a"
    " certificate that was"
    " signed by itself, a private authority, or an intermediate certificate that was not sent.",
    49: "The certificate is good, and its owner is not allowed in.",
    50: "The sender could not read a message: a length or a field is wrong.",
    51: "A signature, a binder or the checksum of the handshake is wrong.",
    70: "The version that the other side offers is known, and not supported.",
    71: "The sender wants stronger cipher suites than the other side offers.",
    80: "Something failed at the sender that has nothing to do with the other side.",
    86: "The client came back with a lower version, although the server could do better.",
    90: "The handshake is given up for a reason outside the protocol; close_notify should follow.",
    100: "The sender does not begin a new handshake inside this connection; the connection may go on.",
    109: "An extension that must be there is not.",
    110: "The other side sends an extension that was not asked for, or that must not stand where it does.",
    112: "The server has no site of the name that the client asked for (SNI).",
    113: "The stapled status of the certificate is not valid.",
    115: "The server knows none of the client's tickets or keys, and will not go on without one.",
    116: "The server wants a certificate of the client, and got none.",
    120: "Client and server have no protocol in common that could be spoken inside (ALPN).",
}


def explain(layer: Layer) -> list[Note]:
    notes = []
    outside = layer.find("tls.record.opaque_type")
    version = layer.find("tls.record.version")
    if outside is not None and version is not None:
        why = "TLS 1.3 hides what a record holds: outside every one is application data, the real type is encrypted at its end."
        notes.append(Note(outside.span, "the type is a disguise", why, "RFC 8446, 5.2", Rank.BACKGROUND))
        why = "It says TLS 1.2 for ever: middleboxes on the way dropped what named a version that they did not know."
        notes.append(Note(version.span, "the version too", why, "RFC 8446, 5.1 and D.4", Rank.BACKGROUND))
    notes += _protection(layer, outside is not None)
    reason = layer.find("tls.record.not_decrypted")
    if reason is not None:
        why = f"{str(reason.value)[:1].upper()}{str(reason.value)[1:]}. The length and the time are all that can be known."
        notes.append(Note(reason.span, "not decrypted", why, "RFC 8446, 5.2" if outside is not None else "RFC 5246, 6.2.3"))
    elif layer.find("tls.app_data") is not None and layer.find("tls.record.secret") is None:
        why = "The keys are not in what this tool has read: the length and the time are all that can be known."
        notes.append(Note(layer.span, "encrypted", why, "RFC 8446, 5.2"))
    spec = layer.find("tls.change_cipher_spec")
    if spec is not None and MEANS_NOTHING in spec.text:
        why = f"{spec.span.size} byte that TLS 1.3 does not need: sent so that middleboxes take this for a resumed TLS 1.2"
        why += " session."
        notes.append(Note(spec.span, "for middleboxes", why, "RFC 8446, 5 and D.4", Rank.DETAIL))
    elif spec is not None:
        why = f"{spec.span.size} byte, and from the next record on this side uses the keys and the cipher just agreed on."
        notes.append(Note(spec.span, "from here on", why, "RFC 5246, 7.1"))
    fragment = layer.find("tls.handshake.fragment")
    if fragment is not None and layer.find("tls.record.secret") is None:
        why = f"{fragment.span.size:,} bytes of handshake in clear: there are no keys yet, and everybody on the way can read"
        why += " them. A"
        why += " record may hold several messages, or a piece of one."
        notes.append(Note(fragment.span, "in clear", why, "RFC 8446, 5.1; RFC 5246, 6.2.1", Rank.DETAIL))
    return notes + _alert(layer)


def _alert(layer: Layer) -> list[Note]:
    """What an alert says, and what follows from it."""
    description = layer.find("tls.alert_message.desc")
    if description is None:
        return []
    number = int(description.value)
    name = ALERTS.get(number, f"alert {number}")
    why = ALERT_NOTES.get(number, "The sender gives the connection up.")
    if number in CLOSURE:
        return [Note(description.span, name, why, "RFC 8446, 6.1")]
    if number == NO_RENEGOTIATION:
        return [Note(description.span, name, why, "RFC 5246, 7.2.2")]
    if layer.value("tls.alert_message.level") == WARNING and layer.find("tls.record.opaque_type") is None:
        return [Note(description.span, name, f"{why} Marked as a warning: before TLS 1.3 it may go on.", "RFC 5246, 7.2")]
    why += " The connection is over for both sides, and its keys are to be forgotten."
    return [Note(description.span, name, why, "RFC 8446, 6.2; RFC 5246, 7.2.2")]


def _protection(layer: Layer, tls13: bool) -> list[Note]:
    """Which keys opened the record, and how its nonce was made."""
    secret, number = layer.find("tls.record.secret"), layer.find("tls.record.sequence")
    if secret is None or number is None:
        return []
    protection = str(layer.value("tls.record.protection"))
    cipher, _, keys = protection.partition(", ")
    why = f"{cipher} under the {keys}, derived from {secret.value}."
    notes = [Note(secret.span, "opened", why, "RFC 8446, 7.3" if tls13 else "RFC 5246, 6.3")]
    explicit, nonce = layer.find("tls.record.iv"), layer.find("tls.record.nonce")
    counted = f"It is record {number.value:,} under these keys; the number is sent nowhere, both sides count"
    if tls13 or (nonce is not None and explicit is None and "POLY1305" in cipher):
        why = f"{counted}. The nonce is the IV of these keys with that number laid over its end (exclusive or)."
        notes.append(Note(number.span, "the nonce", why, "RFC 8446, 5.3" if tls13 else "RFC 7905, 2", Rank.BACKGROUND))
    elif nonce is not None and nonce.value and "CBC" not in cipher:
        why = f"{counted}, and authenticate it. The nonce is 4 bytes from the key block and the 8 in front of the ciphertext."
        notes.append(Note(number.span, "the nonce", why, "RFC 6655, 3" if "CCM" in cipher else "RFC 5288, 3", Rank.BACKGROUND))
    elif "CBC" in cipher:
        iv = "The IV stands in front of the ciphertext" if explicit is not None else "The IV is the record before's last block"
        if explicit is None and number.value == 0:
            iv = "The IV comes from the key block"
        why = f"{counted}, and the MAC covers it. {iv}."
        reference = "RFC 5246, 6.2.3.2" if explicit is not None else "RFC 2246, 6.2.3.2"
        notes.append(Note(number.span, "the IV", why, reference, Rank.BACKGROUND))
    else:
        why = f"{counted}, and the MAC covers it."
        notes.append(Note(number.span, "the number", why, "RFC 5246, 6.2.3.1", Rank.BACKGROUND))
    return notes
