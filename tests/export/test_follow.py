"""Following a stream: the same bytes as tshark, whatever carried them, and gaps that are told."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from inspector.core.errors import InspectError
from inspector.export.follow import Stream, follow, parse
from inspector.session import open_session
from inspector.sources.bundled import bundled, captures_folder


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
        command = ["tshark", "-n", "-q", "-r", path, "-z", f"follow,tcp,raw,{stream}"]
        lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
        begin = next(at for at, line in enumerate(lines) if line.startswith("Node 1")) + 1
        theirs = b"".join(bytes.fromhex(line) for line in lines[begin:] if not line.startswith("="))
        assert b"".join(chunk.data for chunk in follow(session, Stream("tcp", stream))) == theirs
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
