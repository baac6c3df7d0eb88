"""Makes damaged captures out of sound ones: each mutation is named by a seed and a number, and is the same every time."""

from __future__ import annotations

import random
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

from unsafe import HOSTILE

from inspector.core.errors import InspectError
from inspector.core.packet import Interface, Packet
from inspector.export.pcapng import Extras, write_to
from inspector.sources import open_source

MAX_BASE = 96 * 1024  # bytes of a capture that is mutated: small ones say the same in less time
FILE_SHARE = 0.3  # of the mutations change the file itself; the others change packets, and the file stays readable


def mutate(data: bytes, chance: random.Random, other: bytes = b"") -> bytes:
    """Bits flipped, ranges cut, repeated, overwritten (some by what a terminal would obey), spliced in from `other`; up to four
    times."""
    changed = bytearray(data)
    for _ in range(chance.randint(1, 4)):
        if not changed:
            break
        at = chance.randrange(len(changed))
        size = min(chance.choice((1, 2, 4, 16, 64, 512)), len(changed) - at)
        kind = chance.randrange(7)
        if kind == 0:
            changed[at] ^= 1 << chance.randrange(8)
        elif kind == 1:
            del changed[at : at + size]
        elif kind == 2:
            changed[at:at] = changed[at : at + size] * chance.choice((1, 2, 50))
        elif kind == 3:
            changed[at : at + size] = bytes(chance.choice((0, 0x7F, 0x80, 0xFF, chance.randrange(256))) for _ in range(size))
        elif kind == 4:
            changed[at : at + 1] = chance.choice((b"\0", b"\xff", b"\xff\xff\xff\xff", bytes(4), b"\r\n", b"\r\n\r\n"))
        elif kind == 5:
            text = chance.choice(HOSTILE)
            changed[at : at + (len(text) if chance.random() < 0.8 else 1)] = text
        elif other:
            start = chance.randrange(len(other))
            changed[at : at + size] = other[start : start + chance.choice((4, 64, 1024))]
    return bytes(changed)


class Mutations:
    """The mutations of some captures. `mutant(n)` is always the same for the same captures and seed."""

    def __init__(self, captures: Sequence[Path], seed: int) -> None:
        self.captures = [path for path in sorted(captures) if path.stat().st_size <= MAX_BASE]
        self.seed = seed

    def mutant(self, number: int) -> tuple[Path, bytes]:
        """The capture that was mutated, and the mutated file."""
        chance = random.Random(f"{self.seed}:{number}")
        path, other = chance.choice(self.captures), chance.choice(self.captures)
        data = path.read_bytes()
        if chance.random() >= FILE_SHARE:
            inside = _packets(path, other, chance)
            if inside is not None:
                return path, inside
        return path, mutate(data, chance, other.read_bytes())


def _packets(path: Path, other: Path, chance: random.Random) -> bytes | None:
    """The capture with some of its packets changed, lost, repeated or in another order; None where it has none to change."""
    try:
        interfaces, packets, secrets = _read(path)
        strange = _read(other)[1] if chance.random() < 0.2 else []
    except InspectError:
        return None
    if not packets or not interfaces:
        return None
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(packets))
        kind = chance.randrange(8)
        if kind < 5:
            fodder = chance.choice(strange or packets).data
            data = mutate(packets[at].data, chance, fodder)
            packets[at] = packets[at]._replace(data=data, wire_length=max(packets[at].wire_length, len(data)))
        elif kind == 5 and len(packets) > 1:
            del packets[at : at + chance.choice((1, 1, 3))]
        elif kind == 6:
            packets[at:at] = packets[at : at + chance.choice((1, 2, 20))]
        else:
            to = chance.randrange(len(packets))
            packets[at], packets[to] = packets[to], packets[at]
        if not packets:
            break
    file = BytesIO()
    write_to(file, interfaces, packets, Extras(secrets=secrets))
    return file.getvalue()


def _read(path: Path) -> tuple[list[Interface], list[Packet], list[tuple[int, bytes]]]:
    from inspector.session import Session

    session = Session(open_source(str(path)), path.name)
    try:
        session.load()
        packets = [session.packet(number) for number in range(1, session.count + 1)]
        return list(session.interfaces), packets, [(block.type, block.data) for block in session.source.secrets]
    finally:
        session.close()
