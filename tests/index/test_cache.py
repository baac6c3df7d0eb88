"""Indexes kept in the user's cache folder: everything comes back, and what is stale, damaged or not ours is passed over."""

from __future__ import annotations

import os
import random
import stat
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from inspector.cli.show import as_object
from inspector.export import pcapng
from inspector.export.rows import flow_rows
from inspector.index import cache
from inspector.session import Session, open_session
from inspector.sources.bundled import captures_folder


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of this test's own, in which every index is kept."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    monkeypatch.delenv(cache.OFF, raising=False)
    monkeypatch.setattr(cache, "WORTH", 0.0)
    return tmp_path / "home" / "osi-inspect"


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The captures that were read into an index, by name."""
    from inspector.index import Index

    names: list[str] = []
    build = Index.build

    def counted(self: Index, *arguments: Any) -> None:
        if not self._source.name.endswith(".pcapng"):  # what a test makes its own capture from
            names.append(self._source.name)
        build(self, *arguments)

    monkeypatch.setattr(Index, "build", counted)
    return names


def copied(name: str, path: Path) -> Path:
    path.write_bytes((captures_folder() / f"{name}.pcapng").read_bytes())
    return path


def kept(path: Path | list[Path]) -> None:
    """Open and close, which keeps the index."""
    opened(path).close()


def opened(path: Path | list[Path]) -> Session:
    return open_session(str(path) if isinstance(path, Path) else [str(one) for one in path])


def said(session: Session) -> list[Any]:
    """All that a capture is found to say."""
    packets = [as_object(session.dissect(number), session.file(number)) for number in range(1, session.count + 1)]
    rows = [session.row(number) for number in range(1, session.count + 1)]
    comments = [session.comments(number) for number in range(1, session.count + 1)]
    source = session.source
    told = (source.interfaces, source.names, source.secrets, source.section_comments, source.interface_statistics)
    exchanges = [(one.first, one.flow, one.number) for one in session.exchanges()]
    flows = list(flow_rows(session))
    return [packets, rows, comments, told, source.damage, flows, exchanges, session.findings(), session.story()]


def fragmented(path: Path) -> Path:
    """DNS answers over IPv4, each in three fragments, the middle one last; half of the datagrams never complete."""
    rng = random.Random(3)
    frames = []
    for number in range(40):
        name = b"\5host%d\7example\0" % (number % 10)
        record = b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4" + bytes([10, 0, 0, number])
        answer = struct.pack("!HHHHHH", number, 0x8180, 1, 1, 0, 0) + name + b"\0\1\0\1" + record
        udp = struct.pack("!HHHH", 53, 5000 + number, 8 + len(answer), 0) + answer
        pieces = [(0, udp[:16], 1), (4, udp[32:], 0), (2, udp[16:32], 1)][: 3 if number % 2 else 2]
        for offset, data, more in pieces:
            head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(data), number, more << 13 | offset, 64, 17, 0)
            frames.append(b"\2" * 12 + b"\x08\0" + head + bytes([10, 1, 1, 1, 10, 2, 2, 2]) + data)
        frames.append(rng.randbytes(60))
    rows = (struct.pack("<IIII", 1_700_000_000 + at, 0, len(one), len(one)) + one for at, one in enumerate(frames))
    path.write_bytes(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1) + b"".join(rows))
    return path


def commented(path: Path) -> Path:
    """Comments, names and keys besides the packets, and an end that was cut off."""
    session = open_session(str(captures_folder() / "sse-tls.pcapng"), cache=False)
    extras = pcapng.Extras({3: ["third", "\u202eback"], 9: ["ninth"]}, [(one.type, one.data) for one in session.source.secrets],
                           {"10.9.8.7": "printer"}, ["all of it"])  # fmt: skip
    pcapng.write(str(path), session.interfaces, map(session.packet, range(1, session.count + 1)), extras)
    session.close()
    path.write_bytes(path.read_bytes()[:-30])
    return path


MAKERS: dict[str, Callable[[Path], Path]] = {
    "fragments": fragmented,
    "comments, names, keys, damage": commented,
    "dns": lambda path: copied("dns-udp", path),
    "http2": lambda path: copied("https-http2-multiplex", path),
}


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS.keys())
def test_everything_comes_back(tmp_path: Path, built: list[str], make: Callable[[Path], Path]) -> None:
    path = make(tmp_path / "a.cap")
    first = opened(path)
    expected = said(first)
    first.close()
    assert built == ["a.cap"]
    again = opened(path)
    assert built == ["a.cap"]  # it was not read
    assert said(again) == expected
    again.close()


def test_fragments_are_joined_whatever_is_looked_at_first(tmp_path: Path) -> None:
    path = fragmented(tmp_path / "a.cap")
    first = opened(path)
    expected = {number: as_object(first.dissect(number)) for number in range(1, first.count + 1)}
    first.close()
    again = opened(path)
    numbers = list(expected)
    random.Random(1).shuffle(numbers)
    assert all(as_object(again.dissect(number)) == expected[number] for number in numbers)
    assert sum(any(layer["protocol"] == "dns" for layer in one["layers"]) for one in expected.values()) == 20
    again.close()


def test_several_files_as_one(tmp_path: Path, built: list[str]) -> None:
    paths = [copied("sse", tmp_path / "a.cap"), copied("tcp-loss", tmp_path / "b.cap"), commented(tmp_path / "c.cap")]
    first = opened(paths)
    expected = said(first)
    first.close()
    again = opened(paths)
    assert said(again) == expected and len(built) == 1
    again.close()
    kept(paths[0])
    assert len(built) == 2  # one of them alone is another capture


def test_only_the_user_can_read_it(tmp_path: Path, folder: Path) -> None:
    kept(copied("sse", tmp_path / "a.cap"))
    (path,) = folder.iterdir()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600 and stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_keys_are_not_copied(tmp_path: Path, folder: Path) -> None:
    capture = commented(tmp_path / "a.cap")
    session = opened(capture)
    assert session.source.secrets and all(len(one.data) > 100 for one in session.source.secrets)
    keys = [one.data for one in session.source.secrets]
    session.close()
    (path,) = folder.iterdir()
    data = path.read_bytes()
    assert not any(word in data for key in keys for word in key.split() if len(word) > 20)


CHANGES: dict[str, Callable[[Path, bytes], object]] = {
    "longer": lambda path, data: path.write_bytes(data + bytes(32)),
    "written anew": lambda path, data: path.write_bytes(data[:2000] + b"\xff" + data[2001:]),
    "another inode": lambda path, data: (path.rename(path.with_suffix(".old")), path.write_bytes(data)),
    "touched": lambda path, data: os.utime(path, ns=(1, 1)),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_of_a_changed_file_it_is_not_used(tmp_path: Path, built: list[str], change: Callable[[Path, bytes], object]) -> None:
    path = copied("sse", tmp_path / "a.cap")
    kept(path)
    change(path, path.read_bytes())
    opened(path).close()
    assert len(built) == 2


def test_the_same_size_and_time_but_other_bytes(tmp_path: Path, built: list[str]) -> None:
    path = copied("sse", tmp_path / "a.cap")
    kept(path)
    before = path.stat()
    with path.open("r+b") as file:
        file.seek(2000)
        file.write(b"\xff")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    opened(path).close()
    assert len(built) == 2


def test_of_another_program_it_is_not_used(tmp_path: Path, built: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    path = copied("sse", tmp_path / "a.cap")
    kept(path)
    monkeypatch.setattr(cache, "__version__", "99")
    opened(path).close()
    assert len(built) == 2


@pytest.mark.parametrize("where", ["pipe", "compressed", "growing", "rules", "switched off"])
def test_what_is_never_kept(tmp_path: Path, folder: Path, where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path = copied("sse", tmp_path / "a.cap")
    if where == "pipe":
        reader, writer = os.pipe()
        os.write(writer, path.read_bytes()[:4000])
        os.close(writer)
        session = open_session(reader)
    elif where == "compressed":
        import gzip

        path.write_bytes(gzip.compress(path.read_bytes()))
        session = opened(path)
    elif where == "growing":
        session = open_session(str(path), growing=True)
        session.grow()
        session.load()
    elif where == "rules":
        session = open_session(str(path), decode_as={("tcp.port", 8080): "http"})
    else:
        monkeypatch.setenv(cache.OFF, "1")
        session = opened(path)
    session.close()
    assert session.complete and not folder.exists()


def test_an_index_that_took_no_time_is_not_kept(tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "WORTH", 60.0)
    kept(copied("sse", tmp_path / "a.cap"))
    assert not folder.exists()


@pytest.mark.parametrize("seed", range(40))
def test_damage_never_shows(tmp_path: Path, folder: Path, seed: int) -> None:
    """Whatever bytes are wrong, cut off or put in between: what is shown is what the capture says."""
    path = fragmented(tmp_path / "a.cap")
    first = opened(path)
    expected = [as_object(first.dissect(number)) for number in range(1, first.count + 1)]
    flows = list(flow_rows(first))
    first.close()
    (one,) = folder.iterdir()
    data, rng = bytearray(one.read_bytes()), random.Random(seed)
    for _ in range(rng.choice((1, 3, 50))):
        at = rng.randrange(len(data))
        how = rng.randrange(4)
        if how < 2:
            data[at] ^= 1 << rng.randrange(8)
        elif how == 2:
            del data[at : at + rng.randrange(1, 200)]
        else:
            data[at:at] = rng.randbytes(20)
    one.write_bytes(data[: rng.randrange(len(data))] if seed % 4 == 0 else data)
    again = opened(path)
    assert list(flow_rows(again)) == flows
    assert [as_object(again.dissect(number)) for number in range(1, again.count + 1)] == expected
    again.close()


def test_a_damaged_column_is_made_anew_and_the_file_deleted(tmp_path: Path, folder: Path, built: list[str]) -> None:
    path = copied("sse", tmp_path / "a.cap")
    first = opened(path)
    expected = first.index.column("time_ns").tolist()
    first.close()
    (one,) = folder.iterdir()
    data = bytearray(one.read_bytes())
    data[data.index(struct.pack("<q", expected[5]))] ^= 1
    one.write_bytes(data)
    again = opened(path)
    assert len(built) == 1  # nothing is wrong with what was read so far
    assert again.index.column("time_ns").tolist() == expected and len(built) == 2
    assert not one.exists()
    again.close()


@pytest.mark.parametrize("mode", [0o622, 0o660])
def test_a_file_that_others_may_write_is_passed_over(tmp_path: Path, folder: Path, built: list[str], mode: int) -> None:
    path = copied("sse", tmp_path / "a.cap")
    kept(path)
    (one,) = folder.iterdir()
    one.chmod(mode)
    opened(path).close()
    assert len(built) == 2


def test_a_link_in_its_place_is_not_followed(tmp_path: Path, folder: Path, built: list[str]) -> None:
    path = copied("sse", tmp_path / "a.cap")
    kept(path)
    (one,) = folder.iterdir()
    elsewhere = tmp_path / "elsewhere"
    one.rename(elsewhere)
    one.symlink_to(elsewhere)
    opened(path).close()
    assert len(built) == 2 and not one.is_symlink()  # replaced


def test_the_cache_is_bounded_and_the_oldest_goes(tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = [copied(name, tmp_path / name) for name in ("sse", "tcp-loss", "dns-udp")]
    for path in paths[:2]:
        kept(path)
    sizes = {one.name: one.stat().st_size for one in folder.iterdir()}
    for age, one in enumerate(sorted(folder.iterdir(), key=lambda one: one.stat().st_mtime)):
        os.utime(one, (1000 + age, 1000 + age))
    kept(paths[0])  # it is used: now the other one is the oldest
    (oldest,) = (one.name for one in folder.iterdir() if one.stat().st_mtime < 2000)
    (folder / "x.new").write_bytes(b"half")
    os.utime(folder / "x.new", (1000, 1000))
    monkeypatch.setattr(cache, "MAX_CACHE", sum(sizes.values()) + 1000)
    kept(paths[2])
    left = {one.name for one in folder.iterdir()}
    assert len(left) == 2 and oldest not in left and "x.new" not in left
    monkeypatch.setattr(cache, "MAX_CACHE", 1000)
    kept(copied("websocket-chat", tmp_path / "large"))  # one that does not fit at all pushes nobody out
    assert {one.name for one in folder.iterdir()} == left


def test_a_folder_that_cannot_be_written_is_no_reason_to_stop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    session = opened(copied("sse", tmp_path / "a.cap"))
    assert session.complete
    session.close()


def test_a_home_that_may_not_be_seen_is_no_reason_to_stop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, home = os.stat, tmp_path / "home" / ".cache"  # as root's is to the user who typed sudo

    def shut(path: Any, **options: Any) -> os.stat_result:
        if str(path) == str(home):
            raise PermissionError(13, "Permission denied")
        return real(path, **options)

    monkeypatch.setattr(os, "stat", shut)
    monkeypatch.setenv("XDG_CACHE_HOME", str(home))
    session = opened(copied("sse", tmp_path / "a.cap"))
    assert session.complete
    session.close()


def test_without_a_home_nothing_is_kept(tmp_path: Path, built: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")  # which the XDG Base Directory Specification says to ignore
    path = copied("sse", tmp_path / "a.cap")
    kept(path)
    kept(path)
    assert len(built) == 2 and not Path("relative").exists()


def test_a_full_disk_leaves_nothing_behind(tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*arguments: object) -> bool:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(cache, "_write", full)
    kept(copied("sse", tmp_path / "a.cap"))
    assert list(folder.iterdir()) == []


def test_the_option_of_the_command_line(tmp_path: Path, folder: Path) -> None:
    path = copied("sse", tmp_path / "a.cap")
    code = "import sys; from inspector.index import cache; cache.WORTH = 0; import inspector.__main__ as m; sys.exit(m.main())"

    def run(*arguments: str) -> None:
        subprocess.run([sys.executable, "-c", code, *arguments], check=True, capture_output=True)

    run("--no-cache", "flows", str(path))
    assert not folder.exists()
    run("flows", str(path))
    assert len(list(folder.iterdir())) == 1
