"""What goes wrong around the program: files that vanish, disks that are full, names that lead elsewhere."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from inspector.cli import app
from inspector.core.errors import InspectError
from inspector.session import open_session
from inspector.tui import taking
from tests.made import connection, opened

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 50000\r\n\r\n"
SAID = (0, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"), (1, HEAD + bytes(50_000))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 32 KiB."""
    place = tmp_path / "disk"
    place.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=32k", "none", str(place)], capture_output=True, text=True, check=False
    )
    if made.returncode:
        pytest.skip(f"no disk can be mounted here: {made.stderr.strip()}")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_a_full_disk_leaves_nothing_half_written(small_disk: Path, tmp_path: Path) -> None:
    session = opened(tmp_path, connection(4000, *SAID))
    target = small_disk / "saved.pcapng"
    target.write_bytes(b"before")
    with pytest.raises(InspectError, match="No space left"):
        session.save(str(target), range(1, session.count + 1))
    assert target.read_bytes() == b"before" and os.listdir(small_disk) == ["saved.pcapng"]
    numbers = range(1, session.count + 1)
    response = next(n for n in numbers if session.dissect(n).find("data-text-lines") is not None)
    with pytest.raises(InspectError, match="No space left"):
        taking.save_body(str(small_disk / "body"), session.dissect(response))
    assert os.listdir(small_disk) == ["saved.pcapng"]


def test_a_file_that_vanishes_while_it_is_open(tmp_path: Path) -> None:
    """It is open: what it held is still there to be read."""
    session = opened(tmp_path, connection(4000, *SAID))
    before = [layer.summary for layer in session.dissect(3).layers]
    (tmp_path / "made.pcap").unlink()
    assert [layer.summary for layer in session.dissect(3).layers] == before and session.damage is None
    assert session.exchanges()[0].status == 200
    session.close()


@pytest.mark.parametrize("left", [0, 10, 24, 60, 400])
def test_a_file_that_shrinks_while_it_is_open(left: int, tmp_path: Path) -> None:
    session = opened(tmp_path, connection(4000, *SAID))
    os.truncate(tmp_path / "made.pcap", left)
    for number in range(1, session.count + 1):
        assert session.dissect(number).layers
    session.exchanges(), session.findings(), session.story(), session.patterns()
    assert session.damage is not None and "while it was open" in session.damage.text
    session.close()


@pytest.mark.parametrize("target", [
    b"/../../etc/passwd", b"/..%2f..%2fetc%2fpasswd", b"/~root/.ssh/authorized_keys", b"/a/..", b"/.bashrc", b"/-rf",
    b"/a\x1b]0;x\x07b", b"/C:\\x\\y", b"/a;rm -rf ~", b"/" + b"a" * 5000, "/\u202egpj.exe".encode(),
])  # fmt: skip
def test_a_name_from_a_capture_never_leaves_the_folder(target: bytes, tmp_path: Path) -> None:
    ask = b"GET " + target + b" HTTP/1.1\r\nHost: a\r\n\r\n"
    session = opened(tmp_path, connection(4000, (0, ask), (1, b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na")))
    for number in range(1, session.count + 1):
        name = taking.body_name(session.dissect(number))
        assert name and os.path.basename(name) == name and name.isascii() and name.isprintable()
        assert name[0] not in ".-~" and len(name) <= 100
    session.close()


@pytest.mark.parametrize("command", [["show"], ["flows"], ["info"], ["fields", "-e", "frame.len"], ["explain"]], ids=" ".join)
def test_an_output_that_is_full_is_one_sentence(command: list[str], tmp_path: Path) -> None:
    opened(tmp_path, connection(4000, *SAID) * 20).close()
    words = [sys.executable, "-m", "inspector", command[0], str(tmp_path / "made.pcap"), *command[1:]]
    with open("/dev/full", "w") as full:
        done = subprocess.run(words, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
    assert done.returncode == 2 and "No space left" in done.stderr and len(done.stderr.splitlines()) == 1


def test_a_folder_of_the_cache_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files opened last, and whatever else is kept between runs, are a convenience: nothing fails without them."""
    (tmp_path / "no").write_bytes(b"")
    for name in ("XDG_STATE_HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "no" / "folder"))
    opened(tmp_path, connection(4000, *SAID)).close()
    assert app(["show", str(tmp_path / "made.pcap")]) == 0
    open_session(str(tmp_path / "made.pcap")).close()
