"""Key schedules against published vectors."""

from __future__ import annotations

from inspector.secrets.schedule import expand_label, p_hash, prf
from inspector.secrets.suites import Mode, suite


def test_the_prf_of_tls_1_2() -> None:
    """The vector of the IETF's TLS list (P_SHA256, 2008)."""
    secret = bytes.fromhex("9bbe436ba940f017b17652849a71db35")
    seed = bytes.fromhex("a0ba9f936cda311827a6f796ffd5198c")
    expected = (
        "e3f229ba727be17b8d122620557cd453c2aab21d07c3d495329b52d4e61edb5a6b301791e90d35c9c9a46b4e14baf9af0fa022f7077def17"
        "abfd3797c0564bab4fbc91666e9def9b97fce34f796789baa48082d122ee42c5a72e5a5110fff70187347b66"
    )
    assert prf(0x0303, "sha256", secret, b"test label", seed, 100).hex() == expected


def test_the_prf_before_tls_1_2_joins_two_halves() -> None:
    secret = bytes(range(47))  # an odd length: both halves have the middle byte (RFC 2246, 5)
    left, right = p_hash("md5", secret[:24], b"ls", 50), p_hash("sha1", secret[23:], b"ls", 50)
    assert prf(0x0301, "sha256", secret, b"l", b"s", 50) == bytes(a ^ b for a, b in zip(left, right, strict=True))


def test_the_traffic_keys_of_the_rfc() -> None:
    """RFC 8448, 3: the server's handshake keys."""
    secret = bytes.fromhex("b67b7d690cc16c4e75e54213cb2d37b4e9c912bcded9105d42befd59d391ad38")
    assert expand_label("sha256", secret, b"key", 16).hex() == "3fce516009c21727d0f2e4e86ee403bc"
    assert expand_label("sha256", secret, b"iv", 12).hex() == "5d313eb2671276ee13000b30"


def test_names_say_how_records_are_protected() -> None:
    gcm = suite("TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384")
    assert gcm is not None and (gcm.mode, gcm.key, gcm.iv, gcm.prf, gcm.rsa) == (Mode.AEAD, 32, 4, "sha384", False)
    ccm = suite("TLS_RSA_WITH_AES_128_CCM_8")
    assert ccm is not None and (ccm.mode, ccm.tag, ccm.prf, ccm.rsa) == (Mode.AEAD, 8, "sha256", True)
    new = suite("TLS_CHACHA20_POLY1305_SHA256")
    assert new is not None and (new.key, new.iv, new.mac) == (32, 12, "sha256")
    old = suite("TLS_DHE_RSA_WITH_3DES_EDE_CBC_SHA")
    assert old is not None and (old.mode, old.key, old.block, old.mac) == (Mode.CBC, 24, 8, "sha1")
    for name in ("TLS_RSA_EXPORT_WITH_RC4_40_MD5", "TLS_ECDHE_RSA_WITH_ARIA_128_GCM_SHA256", "TLS_SM4_GCM_SM3", "", "nonsense"):
        assert suite(name) is None
