"""Bodies: multipart (RFC 2046, 5.1), form data, JSON; every part has its bytes, nothing hostile raises."""

from __future__ import annotations

from random import Random

import pytest
from talk import C, S, Unit, talk

from inspector.core.span import trace

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
FORM = b"application/x-www-form-urlencoded"


def post(kind: bytes, body: bytes, size: int = 0) -> Unit:
    head = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Type: " + kind + b"\r\nContent-Length: %d\r\n\r\n" % len(body)
    return talk([(C, head + body), (S, OK)], size)[0]


TWO = (
    b'ignored\r\n--AaB03x\r\nContent-Disposition: form-data; name="field"\r\n\r\nJoe\r\n'
    b'--AaB03x\r\nContent-Disposition: form-data; name="file"; filename="a.json"\r\nContent-Type: application/json\r\n\r\n'
    b'{"a": 1}\r\n--AaB03x--\r\nignored too'
)


@pytest.mark.parametrize("kind", [b"multipart/form-data; boundary=AaB03x", b'multipart/mixed; charset=x; boundary="AaB03x"'])
def test_parts(kind: bytes) -> None:
    unit = post(kind, TWO, 50)
    layer = unit.dissection.find("mime_multipart")
    assert layer is not None and layer.summary == "2 parts: field, file (file a.json)"
    assert not layer.unclaimed() and not unit.issues
    text, json = unit.dissection.find("data-text-lines"), unit.dissection.find("json")
    assert text is not None and text.span.read() == b"Joe"
    assert json is not None and json.span.read() == b'{"a": 1}'
    assert b"".join(span.read() for span in trace(json.span)) == b'{"a": 1}'
    assert [f.span.read() for f in layer.walk() if f.name == "mime_multipart.header.content-type"] == [
        b"Content-Type: application/json\r\n"
    ]


def test_parts_inside_a_part() -> None:
    inner = b"--in\r\n\r\none\r\n--in\r\n\r\ntwo\r\n--in--"
    body = b"--out\r\nContent-Type: multipart/mixed; boundary=in\r\n\r\n" + inner + b"\r\n--out--\r\n"
    unit = post(b"multipart/mixed; boundary=out", body)
    texts = [layer.span.read() for layer in unit.dissection.layers if layer.protocol == "data-text-lines"]
    assert texts == [b"one", b"two"] and not unit.issues


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (b"multipart/mixed", b"--x\r\n\r\na\r\n--x--"),
        (b"multipart/mixed; boundary=" + b"y" * 71, b"--x--"),
        (b"multipart/mixed; boundary=z", b"--x\r\n\r\na\r\n--x--"),
        (b"multipart/mixed; boundary=x", b"--x\r\n\r\na"),
    ],
)
def test_a_boundary_that_is_missing_is_an_issue(kind: bytes, body: bytes) -> None:
    assert "boundary" in post(kind, body).issues


def test_form_data_is_decoded_and_every_name_and_value_has_its_bytes() -> None:
    unit = post(FORM, b"name=J%C3%BCrgen+M&empty=&flag&a=b=c")
    layer = unit.dissection.find("urlencoded-form")
    assert layer is not None and not layer.unclaimed()
    names = [field for field in layer.walk() if field.name == "urlencoded-form.key"]
    values = [field for field in layer.walk() if field.name == "urlencoded-form.value"]
    assert [field.value for field in names] == ["name", "empty", "flag", "a"]
    assert [(field.value, field.span.read()) for field in values] == [
        ("Jürgen M", b"J%C3%BCrgen+M"), ("", b""), ("b=c", b"b=c"),
    ]  # fmt: skip


def test_json_members_have_their_bytes() -> None:
    unit = post(b"application/problem+json", b'{"a": [1, {"b": "x"}]}')
    layer = unit.dissection.find("json")
    assert layer is not None and not unit.issues
    assert [f.span.read() for f in layer.walk() if f.name == "json.value"] == [b"1", b'"x"']


@pytest.mark.parametrize("seed", range(5))
def test_no_mutation_raises(seed: int) -> None:
    chance = Random(seed)
    bodies = [(b"multipart/form-data; boundary=AaB03x", TWO), (FORM, b"a=%zz&%=&&=b"), (b"application/json", b'{"a": [1, {}]}')]
    for kind, body in bodies:
        for _ in range(30):
            data = bytearray(body[: chance.randint(1, len(body))])
            for _ in range(chance.randint(0, 4)):
                data[chance.randrange(len(data))] = chance.choice(b'-\r\n:;=&%"{}[]\x00\xff')
            unit = post(kind, bytes(data))
            for layer in unit.dissection.layers:
                for field in layer.walk():
                    assert 0 <= field.span.start <= field.span.stop <= field.span.buffer.size
