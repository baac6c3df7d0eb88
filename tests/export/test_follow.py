"""Following a stream: the same bytes as tshark, whatever carried them, and gaps that are told."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from inspector.cli import app
from inspector.cli.follow import as_object, as_text
from inspector.core.errors import InspectError
from inspector.core.limits import MAX_LINE
from inspector.export.follow import Stream, follow, parse
from inspector.session import open_session
from inspector.sources.bundled import bundled, captures_folder
from tests.annotations.wire import ACK, RST, Wire
from tests.made import connection, opened


def test_names_of_streams() -> None:
    assert parse("4") == Stream("tcp", 4) and parse(" UDP:2 ") == Stream("udp", 2)
    assert parse("http2:0.5") == Stream("http2", 0, 5)
    for text in ("", "tcp", "http2:0", "tcp:1.2", "quic:0", "-1", "1" * 20):
        with pytest.raises(InspectError):
            parse(text)


@pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")
@pytest.mark.parametrize("name", [capture.name for capture in bundled()])
def test_tcp_streams_have_the_bytes_that_tshark_gives(name: str) -> None:
    session = open_session(name)
    flows = session.index.flows
    streams = [int(flows.stream[flow]) for flow in range(len(flows)) if flows.protocol(flow) == 6]
    path = str(captures_folder() / f"{name}.pcapng")
    for stream in streams[:4]:
        assert b"".join(chunk.data for chunk in follow(session, Stream("tcp", stream))) == theirs(path, f"tcp,raw,{stream}")
    session.close()


def theirs(path: str, stream: str) -> bytes:
    """What tshark prints of a stream."""
    command = ["tshark", "-n", "-q", "-r", path, "-z", f"follow,{stream}"]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    begin = next(at for at, line in enumerate(lines) if line.startswith("Node 1")) + 1
    return b"".join(bytes.fromhex(line) for line in lines[begin:] if not line.startswith("="))


@pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")
@pytest.mark.parametrize("name", ["https-tls13", "https-http2-multiplex", "sse-tls", "websocket-tls", "tls13-hello-retry"])
def test_decrypted_streams_have_the_bytes_that_tshark_gives(name: str) -> None:
    session = open_session(name)
    said = b"".join(chunk.data for chunk in follow(session, Stream("tls", 0)))
    assert len(said) > 100 and said == theirs(str(captures_folder() / f"{name}.pcapng"), "tls,raw,0")
    session.close()


def test_data_in_a_reset_is_told_apart(tmp_path: Path) -> None:
    wire = Wire().open()
    wire.say(20, 0, 1, 1, data=b"let me in")
    wire.say(30, 1, 1, 10, data=b"no: ")
    wire.say(31, 1, 5, 10, flags=RST | ACK, data=b"access denied")
    wire.say(32, 1, 5, 10, flags=RST | ACK, data=b"access denied")  # the same again
    wire.say(33, 0, 90, 1, flags=RST | ACK, data=b"not what comes next")
    session = wire.session(tmp_path)
    said = list(follow(session, Stream("tcp", 0)))
    assert [(chunk.from_client, chunk.data, chunk.reset) for chunk in said] == [
        (True, b"let me in", False), (False, b"no: ", False), (False, b"access denied", True),
    ]  # fmt: skip
    assert as_object(session, said[2])["reset"] and "reset" not in as_object(session, said[1])
    assert list(as_text(said, False))[-2:] == ["── server, packet 6, in its reset", "access denied"]
    session.close()


def test_substreams_of_http2() -> None:
    session = open_session("https-http2-multiplex")
    bodies = {}
    for substream in (1, 3, 5, 7, 9, 11):
        asked, answered = follow(session, Stream("http2", 0, substream))
        assert asked.from_client and not answered.from_client and asked.packet < answered.packet
        assert asked.data.startswith(b"GET /") and asked.data.endswith(b"accept: */*\r\n\r\n")
        head, _, body = answered.data.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/2 200\r\n")
        length = next(line for line in head.split(b"\r\n") if line.startswith(b"content-length: "))
        assert len(body) == int(length.partition(b": ")[2])
        bodies[asked.data.split()[1]] = body
    assert len(bodies) == 6 and bodies[b"/app.js"] != bodies[b"/photo.bin"]
    with pytest.raises(InspectError, match="no HTTP message"):
        list(follow(session, Stream("http2", 0, 13)))
    session.close()


def test_messages_of_a_call() -> None:
    session = open_session("grpc-streams")
    asked, answered = follow(session, Stream("http2", 0, 3))
    request, responses = asked.data.partition(b"\r\n\r\n")[2], answered.data.partition(b"\r\n\r\n")[2]
    sizes = []
    while responses:  # each message with its flags and its length in front
        sizes.append(int.from_bytes(responses[1:5], "big"))
        responses = responses[5 + sizes[-1] :]
    assert request[:5] == b"\0\0\0\0\3" and sizes == [13, 11, 15, 14]
    session.close()


@pytest.mark.parametrize("name", ["websocket-chat", "websocket-tls"])
def test_messages_of_websocket(name: str) -> None:
    session = open_session(name)
    said = list(follow(session, Stream("websocket", 0)))
    units = [
        (number, pdu.span.read())
        for number in range(1, session.count + 1)
        if session.index.flow_of(number) == session.index.flow_of(said[0].packet)
        for pdu in session.conversation(session.index.flow_of(number)).pdus(number)
        if pdu.protocol == "websocket.message"
    ]
    assert [(chunk.packet, chunk.data) for chunk in said] == units and {chunk.from_client for chunk in said} == {True, False}
    assert any("Zürich".encode() in chunk.data for chunk in said) or name == "websocket-chat"
    session.close()


def test_datagrams_and_their_directions() -> None:
    session = open_session("dns-udp")
    chunks = list(follow(session, Stream("udp", 0)))
    assert chunks[0].from_client and not chunks[1].from_client
    assert chunks[0].data[:2] == chunks[1].data[:2]  # the answer repeats the question's identification
    session.close()


def test_decrypted_bytes_are_those_of_the_messages_inside() -> None:
    session = open_session("https-tls13")
    said = list(follow(session, Stream("tls", 0)))
    asked = b"".join(chunk.data for chunk in said if chunk.from_client)
    answered = b"".join(chunk.data for chunk in said if not chunk.from_client)
    assert asked.startswith(b"GET ") and answered.startswith(b"HTTP/1.1 200")
    messages = list(follow(session, Stream("http", 0)))
    assert [chunk.from_client for chunk in messages] == [True, False]
    session.close()


def test_what_is_not_there_is_said() -> None:
    session = open_session("sse")
    for protocol in ("tls", "websocket", "http2"):
        with pytest.raises(InspectError, match="stream"):
            list(follow(session, Stream(protocol, 0, 1 if protocol == "http2" else -1)))
    with pytest.raises(InspectError, match="numbered 0 to"):
        list(follow(session, Stream("tcp", 99)))
    session.close()


def test_a_stream_without_lines_is_shown_in_pieces(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each further segment would copy all that came before."""
    opened(tmp_path, connection(4000, (0, bytes(300_000)), size=1000, server=9)).close()
    app(["follow", str(tmp_path / "made.pcap"), "--stream", "0"])
    out = capsys.readouterr().out
    assert out.count("\\0") == 300_000 and max(map(len, out.splitlines())) < 2 * (MAX_LINE + 1001)
