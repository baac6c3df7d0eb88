"""AYIYA: IPv6 over UDP with a signature (draft-massar-v6ops-ayiya-02, section 3).

Not here: checking the signature.
"""

from __future__ import annotations

from inspector.core.cursor import Cursor
from inspector.core.field import catalog, octets, time, u8, uint
from inspector.core.protocol import Protocol
from inspector.protocols.network.ip_protocols import IP_PROTOCOLS

OPERATIONS = {0: "no operation", 1: "forward", 2: "echo request", 3: "echo request and forward", 4: "echo response",
              5: "message of the day", 6: "query", 7: "query response"}  # fmt: skip
FORWARD = (1, 3)

FIELDS = catalog(
    uint("ayiya.idlen", "Length of the identity (a power of two)", 4),
    uint("ayiya.idtype", "Kind of identity", 4, values={0: "none", 1: "integer", 2: "string"}),
    uint("ayiya.siglen", "Length of the signature", 4, scale=4, unit="bytes"),
    uint("ayiya.hashmethod", "Hash", 4, values={0: "none", 1: "MD5", 2: "SHA1"}),
    uint("ayiya.authmethod", "Authentication", 4, values={0: "none", 1: "shared secret", 2: "public key"}),
    uint("ayiya.opcode", "Operation", 4, values=OPERATIONS),
    u8("ayiya.nextheader", "Next header", values=IP_PROTOCOLS),
    time("ayiya.epoch", "Time"),
    octets("ayiya.identity", "Identity"),
    octets("ayiya.signature", "Signature"),
)


def dissect(c: Cursor) -> None:
    power, _ = c.bits(1, ("ayiya.idlen", 4), ("ayiya.idtype", 4))
    signature, _ = c.bits(1, ("ayiya.siglen", 4), ("ayiya.hashmethod", 4))
    _, operation = c.bits(1, ("ayiya.authmethod", 4), ("ayiya.opcode", 4))
    following = c.uint("ayiya.nextheader", 1)
    c.add("ayiya.epoch", c.peek_uint(4) * 1_000_000_000, c.pos, c.pos + 4)
    c.skip(4)
    c.octets("ayiya.identity", 1 << power)
    if signature:
        c.octets("ayiya.signature", signature)
    c.layer.summary = OPERATIONS.get(operation, f"operation {operation}")
    if operation in FORWARD:
        c.payload("ip.proto", following, None, f"AYIYA's next header is {following}")
    elif c.remaining:
        c.payload("ayiya.opcode", operation)


PROTOCOL = Protocol("ayiya", "AYIYA", 4, FIELDS, dissect, keys={"udp.port": [5072]})
