"""What today's OpenSSL no longer speaks: RC4, 3DES, SEED and IDEA, and renegotiation; sealed here by code of the test's own."""

from __future__ import annotations

import hmac
from collections.abc import Callable

import pytest
from cryptography.hazmat.decrepit.ciphers import algorithms as decrepit
from cryptography.hazmat.primitives.ciphers import Cipher, modes
from talk import C, S, Step, Unit, talk
from tls_peers import REQUEST, RESPONSE, client_hello, extension, keys, message, old_prf, server_hello

MASTER = b"\x4d" * 48
FINISHED, KEY_EXCHANGE = message(20, bytes(12)), message(16, b"\0\2ab")
SUITES: dict[int, tuple[str, int, int, Callable[[bytes], object]]] = {  # suite → MAC, key, block, cipher
    0x0004: ("md5", 16, 0, decrepit.ARC4), 0x0005: ("sha1", 16, 0, decrepit.ARC4), 0xC011: ("sha1", 16, 0, decrepit.ARC4),
    0x000A: ("sha1", 24, 8, decrepit.TripleDES), 0x0096: ("sha1", 16, 16, decrepit.SEED),
    0x0007: ("sha1", 16, 8, decrepit.IDEA),
}  # fmt: skip


class Sealer:
    """The records of one direction; before `change` in clear."""

    def __init__(self, version: int) -> None:
        self.version = version
        self.suite = 0
        self.sequence = 0

    def change(self, suite: int, client: bool, randoms: tuple[bytes, bytes]) -> None:
        """The keys after a ChangeCipherSpec."""
        self.suite, self.sequence = suite, 0
        self.mac, key, block, make = SUITES[suite]
        size = hmac.new(b"", b"", self.mac).digest_size
        cut = [size, size, key, key, block, block]
        data = old_prf(self.version, MASTER, b"key expansion", randoms[1] + randoms[0], sum(cut))
        parts = [data[sum(cut[:at]) : sum(cut[: at + 1])] for at in range(6)][0 if client else 1 :: 2]
        self.mac_key, self.key, self.iv, self.block = parts[0], make(parts[1]), parts[2], block
        self.stream = None if block else Cipher(self.key, None).encryptor()  # type: ignore[arg-type]

    def __call__(self, kind: int, content: bytes) -> bytes:
        version = self.version.to_bytes(2, "big")
        if not self.suite:
            return bytes((kind,)) + version + len(content).to_bytes(2, "big") + content
        counted = self.sequence.to_bytes(8, "big") + bytes((kind,)) + version + len(content).to_bytes(2, "big")
        data = content + hmac.new(self.mac_key, counted + content, self.mac).digest()
        self.sequence += 1
        if self.stream is not None:
            body = self.stream.update(data)
        else:
            padding = self.block - len(data) % self.block
            explicit = self.version >= 0x0302
            iv = bytes((self.sequence,)) * self.block if explicit else self.iv
            encryptor = Cipher(self.key, modes.CBC(iv)).encryptor()  # type: ignore[arg-type]
            body = encryptor.update(data + bytes((padding - 1,)) * padding)
            self.iv = body[-self.block :]
            body = iv + body if explicit else body
        return bytes((kind,)) + version + len(body).to_bytes(2, "big") + body


class Script:
    """Both directions, through one handshake after another."""

    def __init__(self, version: int = 0x0301) -> None:
        self.version = version
        self.seal = (Sealer(version), Sealer(version))
        self.log = ""
        self.count = 0

    def handshake(self, suite: int) -> list[Step]:
        client, server = self.seal
        self.count += 1
        randoms = bytes((self.count,)) * 32, bytes((self.count + 100,)) * 32
        self.log += f"CLIENT_RANDOM {randoms[0].hex()} {MASTER.hex()}\n"
        hello = server_hello(suite, extension(0xFF01, b"\0"), random=randoms[1])
        hello = hello.replace(b"\3\3", self.version.to_bytes(2, "big"), 1)
        first = client(22, client_hello([suite], extension(0xFF01, b"\0"), random=randoms[0]))
        second = server(22, hello + message(14))
        third = client(22, KEY_EXCHANGE) + client(20, b"\1")
        client.change(suite, True, randoms)
        third += client(22, FINISHED)
        fourth = server(20, b"\1")
        server.change(suite, False, randoms)
        return [(C, first), (S, second), (C, third), (S, fourth + server(22, FINISHED))]


def summaries(units: list[Unit], protocol: str) -> list[str]:
    return [unit.layer.summary for unit in units if unit.pdu.protocol == protocol]


@pytest.mark.parametrize("version", [0x0301, 0x0302, 0x0303])
@pytest.mark.parametrize("suite", SUITES)
def test_old_ciphers(suite: int, version: int) -> None:
    script = Script(version)
    steps = script.handshake(suite)
    client, server = script.seal
    steps += [(C, client(23, REQUEST[:9]) + client(23, REQUEST[9:])), (S, server(23, RESPONSE)), (S, server(21, b"\1\0"))]
    units = talk(steps, keys=keys(script.log))
    assert summaries(units, "http") == ["GET /a HTTP/1.1", "HTTP/1.1 200 OK"]
    assert not [unit for unit in units if unit.layer.find("tls.record.not_decrypted") is not None]
    for unit in reversed(units):  # in any order: what is decrypted again needs nothing that was kept
        unit.pdu.node.keys.cache.__init__()  # type: ignore[misc, union-attr]
        assert unit.pdu.span.read()
        assert not unit.layer.unclaimed()
    again = talk(steps, 3, keys=keys(script.log))
    assert sorted(summaries(again, "tls")) == sorted(summaries(units, "tls"))


def test_a_renegotiation_changes_the_keys_of_each_side_at_its_own_record() -> None:
    script = Script()
    steps = script.handshake(0x0005)
    client, server = script.seal
    steps += [(C, client(23, REQUEST[:9])), (S, server(22, message(0)))]
    steps += script.handshake(0x000A)
    steps += [(C, client(23, REQUEST[9:])), (S, server(23, RESPONSE))]
    units = talk(steps, keys=keys(script.log))
    assert summaries(units, "http") == ["GET /a HTTP/1.1", "HTTP/1.1 200 OK"]
    found = [unit.layer.value("tls.handshake.type") for unit in units if unit.pdu.protocol == "tls.handshake"]
    assert found == [1, 2, 14, 16, 20, 20, 0, 1, 2, 14, 16, 20, 20]
    ciphers = {str(unit.layer.value("tls.record.protection")).split(",")[0] for unit in units} - {"None"}
    assert ciphers == {"RC4_128", "3DES_EDE_CBC"}
    only_first = talk(steps, keys=keys(script.log.splitlines()[0]))
    reasons = [unit.layer.value("tls.record.not_decrypted", "") for unit in only_first]
    assert any("client random 02020202" in reason for reason in reasons)


@pytest.mark.parametrize("suite", [0x0005, 0x000A])
def test_behind_a_gap_the_place_in_the_stream_is_known(suite: int) -> None:
    script = Script()
    steps = script.handshake(suite)
    client, server = script.seal
    body = b"HTTP/1.1 200 OK\r\nContent-Length: 400\r\n\r\n"
    parts = [server(23, body), *(server(23, b"x" * 100) for _ in range(4))]
    steps += [(C, client(23, REQUEST)), *((S, part) for part in parts)]
    units = talk(steps, lost=[len(steps) - 3], keys=keys(script.log))
    opened = [unit for unit in units if unit.pdu.direction == S and unit.layer.find("tls.segment.data") is not None]
    # In TLS 1.0 the IV of a CBC record is the end of the one before: the first behind the gap cannot be opened.
    assert len(opened) == (4 if suite == 0x0005 else 3)
