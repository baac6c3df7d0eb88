"""DNS: records from the specifications, names and their pointers, messages over TCP four ways, and nothing hostile raises."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random
from typing import Any

import pytest
from talk import C, S, talk

from inspector.annotations.story.setup import answer
from inspector.core.field import cell
from inspector.core.layer import Layer
from inspector.core.packet import Packet
from inspector.core.span import Frame, Span
from inspector.dissection.engine import Engine, make_registry
from inspector.protocols.dns.dns import guess

VECTORS = json.loads((Path(__file__).parents[1] / "vectors/dns/records.json").read_text())
REGISTRY = make_registry()


def name(text: str) -> bytes:
    return b"".join(bytes([len(label)]) + label.encode() for label in text.split(".")) + b"\0"


def message(
    answers: list[bytes], flags: int = 0x8180, question: str = "example.com", extra: list[bytes] | None = None
) -> bytes:
    more = extra or []
    head = b"\x12\x34" + b"".join(n.to_bytes(2, "big") for n in (flags, 1, len(answers), 0, len(more)))
    return head + name(question) + b"\0\1\0\1" + b"".join(answers) + b"".join(more)


def record(owner: bytes, kind: int, data: bytes) -> bytes:
    return owner + kind.to_bytes(2, "big") + b"\0\1\0\0\0\x3c" + len(data).to_bytes(2, "big") + data


def dissect(data: bytes, protocol: str = "dns") -> Layer:
    packet = Packet(1, 0, 1, len(data), data)
    span = Span(Frame(1, len(data), lambda: data), 0, len(data))
    return Engine(REGISTRY, strict=True).unit(packet, protocol, span, {}).layers[0]


def cells(layer: Layer, field: str) -> list[str]:
    return [cell(f.spec, f.value) for f in layer.walk() if f.name == field]


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
def test_records(vector: dict[str, Any]) -> None:
    layer = dissect(message([record(name(vector["owner"]), vector["type"], bytes.fromhex(vector["rdata"]))]))
    assert {field: cells(layer, field) for field in vector["fields"]} == vector["fields"]
    assert not layer.issues and not layer.unclaimed()


def test_pointers() -> None:
    """The example of RFC 1035, 4.1.4, in the records of a message."""
    at = 12 + len(name("f.isi.arpa")) + 4
    first = record(b"\xc0\x0c", 5, b"\3foo\xc0\x0c")
    to_foo = (0xC000 | at + 12).to_bytes(2, "big")
    to_arpa = (0xC000 | 12 + 6).to_bytes(2, "big")
    layer = dissect(message([first, record(to_foo, 5, to_arpa), record(b"\0", 1, b"\1\2\3\4")], question="f.isi.arpa"))
    assert cells(layer, "dns.resp.name") == ["f.isi.arpa", "foo.f.isi.arpa", "<Root>"]
    assert cells(layer, "dns.cname") == ["foo.f.isi.arpa", "arpa"]
    sizes = [field.span.size for field in layer.walk() if field.name == "dns.resp.name"]
    assert sizes == [2, 2, 1]  # a field covers what stands here, not what its pointer leads to


@pytest.mark.parametrize(
    ("owner", "text", "code"),
    [
        (b"\xc0\x1d", "<Name contains a pointer that loops>", "name-pointer"),  # to itself
        ((b"\x3f" + b"a" * 63) * 4 + b"\0", "<Name too long>", "name-length"),
        (b"\xc0\x1f" + b"\0\1\0\1\0\0\0\x3c\0\4\1\2\3\4\0", "", "name-pointer"),  # forwards
    ],
)
def test_names_that_cannot_be(owner: bytes, text: str, code: str) -> None:
    layer = dissect(message([record(owner, 1, b"\1\2\3\4")]))
    assert code in {issue.code for issue in layer.issues}
    if text:
        assert cells(layer, "dns.resp.name") == [text] and cells(layer, "dns.a") == ["1.2.3.4"]


def test_control_characters_are_written_as_in_a_zone_file() -> None:
    assert cells(dissect(message([record(b"\3a\0b\0", 1, b"\1\2\3\4")])), "dns.resp.name") == ["a\\000b"]


def test_edns() -> None:
    options = bytes.fromhex("0008000700011800cb0071" + "000a000801020304050607080" + "00c0002" + "0000" + "000f00030012" + "78")
    opt = b"\0\0\x29\x10\0\0\0\x80\0" + len(options).to_bytes(2, "big") + options
    layer = dissect(message([], flags=0x0100, extra=[opt]))
    assert cells(layer, "dns.opt.client.addr4") == ["203.0.113.0"]
    assert cells(layer, "dns.opt.cookie.client") == ["0102030405060708"]
    assert cells(layer, "dns.opt.ext_error.info_code") == ["18"] and cells(layer, "dns.opt.ext_error.extra_text") == ["x"]
    assert cells(layer, "dns.resp.z.do") == ["1"] and not layer.unclaimed()
    assert "EDNS" in {note.title for note in layer.notes}


def test_update_has_other_sections() -> None:
    layer = dissect(message([], flags=0x2800))
    assert cells(layer, "dns.count.zones") == ["1"] and not cells(layer, "dns.count.queries")


def test_llmnr_has_other_flags() -> None:
    layer = dissect(message([], flags=0x8500), "llmnr")
    assert cells(layer, "dns.flags.conflict") == ["1"] and cells(layer, "dns.flags.tentative") == ["1"]
    assert not cells(layer, "dns.flags.authoritative")


def test_the_notes_follow_the_bytes() -> None:
    answer = dissect(message([record(b"\xc0\x0c", 5, name("a.b")), record(name("a.b"), 1, b"\1\2\3\4")]))
    notes = {note.title: note.why for note in answer.notes}
    assert set(notes) == {"found", "answer", "alias", "time to live", "whose word"}
    assert "60 seconds" in notes["time to live"] and "a.b" in notes["alias"] and "2 records" in notes["found"]
    assert "no such name" in {note.title for note in dissect(message([], flags=0x8183)).notes}


@pytest.mark.parametrize("size", [0, 1, 7])
def test_over_tcp(size: int) -> None:
    question, answer = message([], flags=0x0100), message([record(b"\xc0\x0c", 1, b"\1\2\3\4")])
    framed = [len(m).to_bytes(2, "big") + m for m in (question, answer)]
    units = talk([(C, framed[0] * 2), (S, framed[1] * 2), (S, framed[1][:9])], size, ports=(40000, 53))
    assert [unit.pdu.complete for unit in units] == [True, True, True, True, False]
    assert [unit.pdu.span.read() for unit in units[:4]] == [framed[0]] * 2 + [framed[1]] * 2
    assert all(not unit.layer.unclaimed() for unit in units[:4])


def test_over_tcp_a_message_is_found_behind_a_gap() -> None:
    answer = message([record(b"\xc0\x0c", 1, b"\1\2\3\4")])
    framed = len(answer).to_bytes(2, "big") + answer
    steps = [(S, framed), (S, framed[:20]), (S, framed[20:]), (S, framed)]
    units = talk(steps, lost=[1], ports=(40000, 53))
    assert [cells(unit.layer, "dns.a") for unit in units] == [["1.2.3.4"]] * 2


def test_over_https_a_message_is_a_body() -> None:
    """RFC 8484, 4.1: a request with POST, its body the message as UDP would carry it."""
    query = bytes.fromhex("00000100000100000000000003777777076578616d706c6503636f6d0000010001")
    head = b"POST /dns-query HTTP/1.1\r\nHost: dns.example\r\n"
    head += b"Content-Type: application/dns-message\r\nContent-Length: 33\r\n\r\n"
    layers = talk([(C, head + query)])[0].dissection.layers
    assert [layer.protocol for layer in layers] == ["http", "dns"]
    assert layers[1].value("dns.qry.name") == "www.example.com"


def test_a_guess_wants_a_whole_question() -> None:
    question = message([], flags=0x0100)
    assert guess(question) and guess(message([record(b"\xc0\x0c", 1, b"\1\2\3\4")]))
    assert not guess(question[:20]) and not guess(message([], flags=0x0140)) and not guess(bytes(40))
    assert not guess(bytes.fromhex("ffff81000000003000000002") + bytes(30))  # SOME/IP service discovery


def test_no_prefix_and_no_mutation_raises() -> None:
    chance = Random(1)
    whole = [message([record(name(v["owner"]), v["type"], bytes.fromhex(v["rdata"]))]) for v in VECTORS]
    for data in whole:
        for stop in range(0, len(data), 3):
            dissect(data[:stop])
        for _ in range(20):
            changed = bytearray(data)
            for _ in range(chance.randint(1, 5)):
                changed[chance.randrange(len(changed))] = chance.choice(b"\x00\xc0\xff\x3f\x01\x0c\x40")
            layer = dissect(bytes(changed))
            assert all(0 <= f.span.start <= f.span.stop <= len(changed) for f in layer.walk())


def test_multicast_is_no_question_and_answer() -> None:
    """The id means nothing there, a time to live of 0 takes a record back (RFC 6762, 10.1 and 18.1)."""
    a = b"\xc0\x0c\0\1\x80\1" + bytes(4) + b"\0\4\xc0\0\2\x50"
    gone = {note.title: note for note in dissect(message([a], 0x8400), "mdns").notes}
    assert gone.keys() == {"to everybody", "goodbye"} and gone["goodbye"].reference == "RFC 6762, 10.1"
    asked = dissect(message([], 0x0200), "mdns").notes
    assert [note.title for note in asked] == ["question for example.com", "truncated"] and "whoever" in asked[1].why


def test_notes_follow_the_opcode_and_the_question() -> None:
    assert not dissect(message([], 0x2800)).notes  # an UPDATE asks for nothing
    alias = record(b"\xc0\x0c", 5, name("other.example"))
    titles = {note.title: note.why for note in dissect(message([alias], 0x8183)).notes}
    assert "alias" in titles and titles["no such name"].startswith("The name at the end of the aliases")
    forgotten = dissect(message([b"\xc0\x0c\0\1\0\1" + bytes(4) + b"\0\4\xc0\0\2\x50"])).notes
    assert any(note.title == "time to live" and "nobody is to remember it" in note.why for note in forgotten)


def test_a_referral_says_nothing_of_what_there_is() -> None:
    """NOERROR without an answer: other servers are named (RFC 1034, 4.3.2), or the name has no such record (RFC 2308, 2.2)."""
    question = b"\x01x\x07example\0\0\1\0\1"
    servers = b"\xc0\x0e\0\2\0\1\0\0\0\x3c\0\5\2ns\xc0\x0e"  # of the zone that the name lies in
    referral = dissect(bytes.fromhex("0001800000010000 0001 0000") + question + servers)
    assert answer("A", referral) == "the server does not know, and names servers that do"
    empty = dissect(bytes.fromhex("000180000001000000000000") + question)
    assert answer("A", empty) == "the name exists and has no A record"
