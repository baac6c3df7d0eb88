"""What is written: pcapng that our reader and tshark read as it was, files that are never half there, curl commands."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inspector.core.errors import InspectError
from inspector.core.packet import Interface, Packet
from inspector.export import curl
from inspector.export.files import written
from inspector.export.pcapng import Extras, write
from inspector.session import open_session

PACKETS = [Packet(1, 1_700_000_000_123_456_789, 1, 1500, b"\x01" * 61, 0), Packet(2, 0, 101, 4, b"\x45\0\0\4", 1)]
INTERFACES = [Interface(1, 65535, "eth0", "first", "tcp port 80", "Linux"), Interface(101, 0, "tun0")]
NAMES = {"192.0.2.1": "one.test", "::1": "six"}
EXTRAS = Extras({1: ["one", "two · ü"]}, [(0x544C534B, b"CLIENT_RANDOM aa bb\n")], NAMES, ["all"])


def test_our_reader_reads_it_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "out.pcapng"
    assert write(str(path), INTERFACES, PACKETS, EXTRAS) == 2
    session = open_session(str(path))
    for packet in PACKETS:
        assert session.packet(packet.number) == packet
    assert session.comments(1) == ["one", "two · ü"] and session.comments(2) == []
    assert session.names == EXTRAS.names and session.source.section_comments == ["all"]
    assert [(block.type, block.data) for block in session.source.secrets] == list(EXTRAS.secrets)
    first, second = session.interfaces
    assert (first.name, first.description, first.os, first.snap_length) == ("eth0", "first", "Linux", 65535)
    assert (second.name, second.link_type) == ("tun0", 101)
    session.close()


@pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")
def test_tshark_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "out.pcapng"
    write(str(path), INTERFACES, PACKETS, EXTRAS)
    fields = ("frame.time_epoch", "frame.len", "frame.cap_len", "frame.interface_name", "frame.comment")
    command = ["tshark", "-n", "-r", str(path), "-T", "fields", *(word for name in fields for word in ("-e", name))]
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert out.splitlines() == ["1700000000.123456789\t1500\t61\teth0\tone,two · ü", "0.000000000\t4\t4\ttun0\t"]


def test_keys_are_for_the_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "keys.pcapng"
    path.write_bytes(b"old")
    path.chmod(0o666)
    write(str(path), INTERFACES, PACKETS, EXTRAS)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    write(str(tmp_path / "plain.pcapng"), INTERFACES, PACKETS, Extras())
    mask = os.umask(0)
    os.umask(mask)
    assert stat.S_IMODE((tmp_path / "plain.pcapng").stat().st_mode) == 0o666 & ~mask


def test_a_failure_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "out.pcapng"
    path.write_bytes(b"old")

    def broken() -> Iterator[Packet]:
        yield PACKETS[0]
        raise OSError(28, "No space left on device")

    with pytest.raises(InspectError, match="No space left"):
        write(str(path), INTERFACES, broken(), Extras())
    assert path.read_bytes() == b"old" and os.listdir(tmp_path) == ["out.pcapng"]


def test_a_link_is_replaced_and_not_followed(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_bytes(b"untouched")
    (tmp_path / "link").symlink_to(target)
    with written(str(tmp_path / "link")) as file:
        file.write(b"new")
    assert target.read_bytes() == b"untouched" and (tmp_path / "link").read_bytes() == b"new"


@pytest.mark.parametrize("place", ["", "nowhere/out.pcapng"])
def test_a_place_that_cannot_be_written_is_one_sentence(tmp_path: Path, place: str) -> None:
    with pytest.raises(InspectError):
        write(str(tmp_path / place), INTERFACES, PACKETS, Extras())


def test_a_long_comment_is_cut_between_characters(tmp_path: Path) -> None:
    path = tmp_path / "out.pcapng"
    write(str(path), INTERFACES, PACKETS, Extras({1: ["ü" * 40_000]}))
    session = open_session(str(path))
    assert set(session.comments(1)[0]) == {"ü"} and session.packet(2) == PACKETS[1]
    session.close()


def test_curl_commands() -> None:
    headers = [("host", "h"), ("content-length", "2"), ("x-a", "it's"), ("x-b", "")]
    assert curl.command("GET", "http://h/", headers) == "curl http://h/ --header 'x-a: it'\"'\"'s' --header 'x-b;'"
    assert curl.command("PUT", "http://h/a b", [], b"{}") == "curl --request PUT 'http://h/a b' --data-binary '{}'"
    assert curl.command("HEAD", "http://h/", []) == "curl --head http://h/"
    assert "@body" in curl.command("POST", "http://h/", [], bytes(10_000))
    assert "\x1b" not in curl.command("GET", "http://h/\x1b[2J\n", [])


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
@settings(max_examples=40, deadline=None)
@given(st.binary(min_size=1, max_size=60).filter(lambda data: 0 not in data))
def test_a_shell_reads_a_quoted_word_as_it_was(data: bytes) -> None:
    script = f"printf %s {curl.quoted_bytes(data)}"
    assert subprocess.run(["bash", "-c", script], capture_output=True, check=True).stdout == data
