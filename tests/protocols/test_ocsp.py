"""OCSP responses stapled into the handshake (RFC 6066, 8; RFC 6960), against the cryptography library, which makes them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509 import ocsp
from cryptography.x509.oid import NameOID
from packets import assert_sound
from talk import C, S, Unit, talk
from test_tls import CLIENT_HELLO, message, record, server_hello

WHEN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def stapled(status: ocsp.OCSPCertStatus = ocsp.OCSPCertStatus.GOOD, by_key: bool = True) -> bytes:
    """A response for the certificate 4711."""
    key = ec.derive_private_key(7, ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "authority.example")])
    made = x509.CertificateBuilder(name, name, key.public_key(), 4711, WHEN, WHEN.replace(year=2027))
    certificate = made.sign(key, hashes.SHA256())
    revoked = status is ocsp.OCSPCertStatus.REVOKED
    encoding = ocsp.OCSPResponderEncoding.HASH if by_key else ocsp.OCSPResponderEncoding.NAME
    builder = ocsp.OCSPResponseBuilder().add_response(
        cert=certificate, issuer=certificate, algorithm=hashes.SHA1(), cert_status=status, this_update=WHEN,
        next_update=WHEN.replace(day=9), revocation_time=WHEN if revoked else None,
        revocation_reason=x509.ReasonFlags.key_compromise if revoked else None,
    )  # fmt: skip
    signed = builder.responder_id(encoding, certificate).certificates([certificate]).sign(key, hashes.SHA256())
    return signed.public_bytes(serialization.Encoding.DER)


def status(response: bytes) -> Unit:
    """The CertificateStatus message that carries a response."""
    body = b"\x01" + len(response).to_bytes(3, "big") + response
    answer = record(22, server_hello(False)) + record(22, message(22, body))
    units = talk([(C, record(22, CLIENT_HELLO)), (S, answer)])
    return next(unit for unit in units if unit.layer.value("tls.handshake.type") == 22)


@pytest.mark.parametrize("by_key", [True, False])
def test_a_stapled_response(by_key: bool) -> None:
    unit = status(stapled(by_key=by_key))
    layer = unit.layer
    assert layer.value("ocsp.responseStatus") == 0 and layer.value("ocsp.certStatus") == 0
    assert int.from_bytes(layer.value("ocsp.serialNumber"), "big") == 4711
    assert layer.value("ocsp.thisUpdate") == "20260102030405Z" and layer.value("ocsp.nextUpdate") == "20260109030405Z"
    assert (layer.value("ocsp.byKey") is not None) == by_key
    assert not layer.unclaimed() and unit.issues == {"certificate-validity"}  # the packet is of 1970
    assert_sound(unit.dissection)


def test_a_revoked_certificate() -> None:
    assert status(stapled(ocsp.OCSPCertStatus.REVOKED)).layer.value("ocsp.certStatus") == 1


def test_a_responder_that_failed() -> None:
    tries = ocsp.OCSPResponseBuilder.build_unsuccessful(ocsp.OCSPResponseStatus.TRY_LATER)
    unit = status(tries.public_bytes(serialization.Encoding.DER))
    assert unit.layer.value("ocsp.responseStatus") == 3 and not unit.issues


def test_any_prefix_holds() -> None:
    whole = stapled()
    for size in range(7, len(whole), 7):
        unit = status(whole[:size])
        assert_sound(unit.dissection)
        assert "ocsp" in unit.issues
