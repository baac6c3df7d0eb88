"""Certificates for the TLS stories: a root, an intermediate and a server certificate, all for names under example.test."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
LIFE = datetime.timedelta(days=3650)


@dataclass(frozen=True)
class Files:
    """Paths: the server's chain and key, and the root that a client may trust."""

    chain: Path
    key: Path
    root: Path

    @property
    def nginx(self) -> str:
        return f"ssl_certificate {self.chain}; ssl_certificate_key {self.key};"


def chain(folder: Path, host: str, key_type: str) -> Files:
    """A server certificate for `host` under an intermediate; `key_type` is "rsa" or "ec", for all three keys."""
    root_key, middle_key, key = (new_key(key_type) for _ in range(3))
    root = certificate("Example Test Root", root_key, "Example Test Root", root_key, authority=1)
    middle = certificate("Example Test Intermediate", middle_key, "Example Test Root", root_key, authority=0)
    leaf = certificate(host, key, "Example Test Intermediate", middle_key)
    return write(folder, [leaf, middle], key, root)


def self_signed(folder: Path, host: str) -> Files:
    """A certificate for `host` that vouches for itself only."""
    key = new_key("ec")
    made = certificate(host, key, host, key)
    return write(folder, [made], key, made)


def new_key(key_type: str) -> Key:
    return ec.generate_private_key(ec.SECP256R1()) if key_type == "ec" else rsa.generate_private_key(65537, 2048)


def certificate(subject: str, key: Key, issuer: str, signer: Key, authority: int | None = None) -> x509.Certificate:
    """`authority` is the path length of a certificate authority, None for a server."""
    start = datetime.datetime.now(datetime.UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    other = ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "encipher_only", "decipher_only")
    builder = (
        x509.CertificateBuilder()
        .subject_name(distinguished(subject))
        .issuer_name(distinguished(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + LIFE)
        .add_extension(x509.BasicConstraints(authority is not None, authority), critical=True)
        .add_extension(
            x509.KeyUsage(
                digital_signature=authority is None,
                key_cert_sign=authority is not None,
                crl_sign=authority is not None,
                **dict.fromkeys(other, False),
            ),
            critical=True,
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
    )
    if authority is None:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(subject)]), critical=False)
        builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
    return builder.sign(signer, hashes.SHA256())


def distinguished(name: str) -> x509.Name:
    return x509.Name(
        [x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Example Orders"), x509.NameAttribute(NameOID.COMMON_NAME, name)]
    )


def write(folder: Path, certificates: list[x509.Certificate], key: Key, root: x509.Certificate) -> Files:
    files = Files(folder / "chain.pem", folder / "key.pem", folder / "root.pem")
    pem = serialization.Encoding.PEM
    files.chain.write_bytes(b"".join(one.public_bytes(pem) for one in certificates))
    files.key.write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
    files.root.write_bytes(root.public_bytes(pem))
    return files
