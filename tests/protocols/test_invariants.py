"""What must hold of every protocol in the list, whatever bytes it meets. New protocols are tested here without being asked."""

from __future__ import annotations

import importlib
import json
import random
import re
import sys
from pathlib import Path

import pytest
from packets import assert_sound
from units import Unit, few, of_bytes, units

from inspector.cli.show import as_object, as_text
from inspector.protocols import PROTOCOLS
from inspector.session import Session
from tests.made import opened

sys.path.append(str(Path(__file__).resolve().parent.parent.parent / "scripts"))
UNSAFE, HOSTILE = importlib.import_module("unsafe").UNSAFE, importlib.import_module("unsafe").HOSTILE
PREFIXES = 40  # of a unit; all of them where it is shorter
MUTATIONS = 40
NAMES = sorted({protocol.name for protocol in PROTOCOLS})

# Bytes of sound units that no field claims, and why: the one place where they are listed.
UNCLAIMED = {
    "http2.upgrade": "Base64 text: the fields lie in the settings that it stands for, and trace back to it",
}


@pytest.mark.parametrize("name", NAMES)
def test_every_protocol_has_a_real_unit(name: str) -> None:
    """A new protocol needs a packet or a talk: in its own tests' CASES, or in units.py."""
    assert units().get(name), f"no bundled capture, no vector and nothing in tests/protocols/units.py has a unit of {name}"


@pytest.mark.parametrize("name", NAMES)
def test_any_prefix_and_any_mutation_holds(name: str) -> None:
    """Nothing raises in strict mode; spans lie in their buffers, children in their parents, and texts can be printed."""
    for unit in few(name, 4):
        for data in changed(unit):
            try:
                assert_sound(of_bytes(unit, data))
            except Exception as error:
                error.add_note(f"{name}, of {unit.source}: {data.hex()}")
                raise


@pytest.mark.parametrize("name", NAMES)
def test_hostile_text_is_told_as_text(name: str, nothing: Session) -> None:
    """Wherever a unit holds letters, bytes that a terminal would obey may stand: nothing that is printed of it has them."""
    for unit in few(name, 4):
        for data in hostile(unit):
            result = of_bytes(unit, data)
            told = "\n".join([*as_text(nothing, result), json.dumps(as_object(result), ensure_ascii=False)])
            found = UNSAFE.search(told)
            assert found is None, (unit.source, told[max(found.start() - 80, 0) : found.end() + 20])


@pytest.fixture(scope="module")
def nothing(tmp_path_factory: pytest.TempPathFactory) -> Session:
    """A session that knows nothing of the packets."""
    return opened(tmp_path_factory.mktemp("nothing"), [bytes(14)])


def hostile(unit: Unit) -> list[bytes]:
    """The unit with each run of letters overwritten, alone and together with others."""
    runs = [found.span() for found in re.finditer(rb"[A-Za-z0-9._/-]{4,}", unit.data)]
    chance, found = random.Random(unit.data), []
    for chosen in [[run] for run in runs[:30]] + [chance.sample(runs, len(runs) // 2) for _ in range(4 if runs else 0)]:
        new = bytearray(unit.data)
        for start, stop in chosen:
            new[start:stop] = chance.choice(HOSTILE)[: stop - start].ljust(stop - start, b"\x07")
        found.append(bytes(new))
    return found


@pytest.mark.parametrize("name", NAMES)
def test_every_byte_is_claimed(name: str) -> None:
    """Each byte of a sound unit belongs to a field or is handed on."""
    left = [(unit.source, span) for unit in few(name, 40) for span in _unclaimed(unit)]
    assert bool(left) == (name in UNCLAIMED), left[:3]


def _unclaimed(unit: Unit) -> list[bytes]:
    layer = of_bytes(unit, unit.data).layers[0]
    return [span.read() for span in layer.unclaimed()]


def changed(unit: Unit) -> list[bytes]:
    """Prefixes of a unit, and mutations: octets set, cut, repeated, and units of the same protocol one behind the other."""
    data, chance = unit.data, random.Random(f"{unit.protocol} {len(unit.data)}")
    step = max(len(data) // PREFIXES, 1)
    found = [data[:size] for size in range(0, len(data), step)]
    for _ in range(MUTATIONS):
        new = bytearray(data)
        for _ in range(chance.randint(1, 3)):
            at = chance.randrange(len(data))
            kind = chance.randrange(4)
            if kind < 2:
                new[at : at + 1] = bytes([chance.choice((0, 0xFF, 0x7F, chance.randrange(256)))])
            elif kind == 2:
                del new[at : at + chance.randint(1, 8)]
            else:
                new[at:at] = new[at : at + chance.randint(1, 64)] * chance.choice((1, 3))
        found.append(bytes(new))
    return [*found, data + data, data + b"\0", bytes(len(data)), b"\xff" * len(data)]
