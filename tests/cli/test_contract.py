"""The command line's contract: one sentence on standard error and status 2 for bad input, text for pipes, never a traceback."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from inspector.sources.bundled import captures_folder

SSE = str(captures_folder() / "sse.pcapng")
COMMANDS = ("open", "captures", "info", "show", "fields", "flows", "exchanges", "follow")
ON_A_FILE = {  # how each command that reads a capture is called
    "open": (), "info": (), "show": (), "fields": ("-e", "frame.number"), "flows": (), "exchanges": (),
    "follow": ("--stream", "0"),
}  # fmt: skip


def run(*arguments: str, stdin: bytes = b"", **environment: str) -> subprocess.CompletedProcess[bytes]:
    """The command as a user runs it, in a pipe."""
    return subprocess.run(
        [sys.executable, "-m", "inspector", *arguments], input=stdin, capture_output=True, timeout=60,
        env={**os.environ, "SSLKEYLOGFILE": "", **environment}, check=False,
    )  # fmt: skip


def refused(found: subprocess.CompletedProcess[bytes]) -> str:
    """The sentence with which a command refused; asserts that it is one, and nothing else."""
    errors = found.stderr.decode()
    assert found.returncode == 2, errors
    assert errors.startswith("osi-inspect: ") and errors.count("\n") == 1 and "Traceback" not in errors
    return errors


@pytest.mark.parametrize("command", COMMANDS)
def test_help(command: str) -> None:
    found = run(command, "--help")
    assert found.returncode == 0 and not found.stderr
    text = found.stdout.decode()
    assert "Usage: osi-inspect " + command in text and "--help" in text


def test_help_names_every_command() -> None:
    text = run("--help").stdout.decode()
    assert all(command in text for command in COMMANDS)


def test_version_comes_before_anything_heavy() -> None:
    code = "import sys; sys.argv[1:] = ['--version']; from inspector.__main__ import main; main(); print(*sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    first, loaded = found.stdout.splitlines()
    assert first.startswith("osi-inspect ") and first.split()[1][0].isdigit()
    assert not {"typer", "numpy", "textual", "scapy", "dpkt", "cryptography", "lark"} & set(loaded.split())


@pytest.mark.parametrize(("module", "arguments", "wanted"), [
    ("lark", ["show", SSE, "-n", "1"], False),
    ("lark", ["show", SSE, "-n", "1", "-Y", "tcp"], True),
    ("inspector.protocols", ["flows", "http-get-lo"], False),  # no packet of it is dissected
    ("inspector.protocols", ["flows", "http-get"], True),  # ARP is
])  # fmt: skip
def test_what_takes_long_to_load_is_loaded_where_it_is_needed(module: str, arguments: list[str], wanted: bool) -> None:
    code = f"import sys; from inspector.cli import app; app({arguments!r}); print({module!r} in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.splitlines()[-1] == str(wanted)


@pytest.mark.parametrize("command", ON_A_FILE)
def test_a_missing_file(command: str, tmp_path: Path) -> None:
    assert "no such file" in refused(run(command, str(tmp_path / "no.pcap"), *ON_A_FILE[command]))


@pytest.mark.parametrize("command", ON_A_FILE)
def test_a_file_that_is_no_capture(command: str, tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("no packets here, only words\n" * 20)
    refused(run(command, str(path), *ON_A_FILE[command]))


@pytest.mark.parametrize("command", ON_A_FILE)
def test_a_damaged_capture_shows_what_is_whole_and_says_where_it_ends(command: str, tmp_path: Path) -> None:
    whole = Path(SSE).read_bytes()
    path = tmp_path / "cut.pcapng"
    path.write_bytes(whole[: len(whole) * 2 // 3])
    found = run(command, str(path), *ON_A_FILE[command])
    assert found.stdout if command != "open" else True
    assert "cut.pcapng" in refused(found)


def test_a_directory_and_an_empty_file(tmp_path: Path) -> None:
    refused(run("info", str(tmp_path)))
    empty = tmp_path / "empty.pcap"
    empty.write_bytes(b"")
    refused(run("info", str(empty)))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_an_unreadable_file(tmp_path: Path) -> None:
    path = tmp_path / "secret.pcap"
    path.write_bytes(b"x")
    path.chmod(0)
    refused(run("info", str(path)))


BAD = [
    (("fields", SSE, "-e", "tcp.prot"), "did you mean tcp."),
    (("fields", SSE), "-e"),
    (("follow", SSE), "osi-inspect follow --help"),
    (("fields", SSE, "-e", "tcp.port", "-E", "header=maybe"), "header=y"),
    (("show", SSE, "-Y", "tcp.prot == 80"), "did you mean tcp.port?"),
    (("show", SSE, "-Y", "tcp.port = 80"), "column 10"),
    (("fields", SSE, "-e", "frame.number", "-Y", "("), "column 2"),
    (("exchanges", SSE, "-Y", "htp"), "did you mean http?"),
    (("flows", SSE, "-Y", "tcp.port == x"), "column 13"),
    (("show", SSE, "-n", "x"), "7 or 3-9"),
    (("show", SSE, "-n", "9999"), "packets"),
    (("show", SSE, "-d", "tcp.port==80,nonsense"), "nonsense"),
    (("show", SSE, "-d", "80=http"), "tcp.port==8080,http"),
    (("follow", SSE), "--stream"),
    (("follow", SSE, "--stream", "x"), "udp:2"),
    (("follow", SSE, "--stream", "http2:1"), "http2:0.5"),
    (("follow", SSE, "--stream", "77"), "numbered 0 to 0"),
    (("follow", SSE, "--stream", "tls:0"), "is not TLS"),
    (("follow", SSE, "--stream", "websocket:0"), "no WebSocket message"),
    (("follow", SSE, "--stream", "0", "--raw", "--json"), "exclude each other"),
    (("show", "ssee"), "did you mean sse?"),
    (("sohw", SSE), "sohw"),
    (("show", SSE, "--nonsense"), "--nonsense"),
]


@pytest.mark.parametrize(("arguments", "word"), BAD)
def test_bad_words_are_refused_in_one_sentence(arguments: tuple[str, ...], word: str) -> None:
    assert word in refused(run(*arguments))


def test_head_may_close_the_pipe() -> None:
    for arguments in (["show", SSE], ["fields", SSE, "-e", "frame.number"], ["follow", SSE, "--stream", "0", "--raw"]):
        command = [sys.executable, "-m", "inspector", *arguments]
        child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert child.stdout is not None and child.stderr is not None
        child.stdout.read(10)
        child.stdout.close()
        errors = child.stderr.read()
        child.stderr.close()
        assert child.wait(30) in (0, 2) and b"Traceback" not in errors


def test_a_closed_standard_output() -> None:
    for arguments in ("show sse", "fields sse -e frame.number", "follow sse --stream 0 --raw", "captures"):
        found = subprocess.run(f"{sys.executable} -m inspector {arguments} >&-", shell=True, capture_output=True, text=True)
        assert "Traceback" not in found.stderr and found.returncode in (0, 2)


@pytest.mark.parametrize("locale", [{"LC_ALL": "C", "PYTHONUTF8": "0"}, {"PYTHONIOENCODING": "ascii"}])
def test_a_locale_that_is_not_utf_8(locale: dict[str, str]) -> None:
    for arguments in (["show", SSE], ["exchanges", SSE], ["follow", SSE, "--stream", "0"], ["captures"], ["info", SSE]):
        found = run(*arguments, **locale)
        assert found.returncode == 0 and not found.stderr, found.stderr.decode()
        assert found.stdout


def test_no_escape_sequence_reaches_a_pipe() -> None:
    for command, more in ON_A_FILE.items():
        found = run(command, SSE, *more, FORCE_COLOR="1" if command == "show" else "")
        assert found.returncode == 0 and b"\x1b" not in found.stdout


def test_a_capture_from_a_pipe() -> None:
    found = run("fields", "-", "-e", "frame.number", "-Y", "sse.event", stdin=Path(SSE).read_bytes())
    assert found.returncode == 0 and found.stdout.split()


def test_show_by_number_and_by_filter() -> None:
    packets = [json.loads(line) for line in run("show", SSE, "-Y", "sse.event", "--json").stdout.splitlines()]
    assert packets and all(any(layer["protocol"] == "sse" for layer in packet["layers"]) for packet in packets)
    numbers = [packet["number"] for packet in packets]
    few = run("show", SSE, "-n", f"1-{numbers[0]}", "-Y", "sse.event", "--json").stdout.splitlines()
    assert [json.loads(line)["number"] for line in few] == numbers[:1]


def test_the_json_of_show_is_what_the_design_says() -> None:
    for line in run("show", SSE, "--json").stdout.splitlines():
        packet = json.loads(line)
        assert {"number", "time", "length", "captured", "layers"} <= packet.keys()
        for layer in packet["layers"]:
            assert {"protocol", "osi", "summary", "why", "start", "stop", "buffer", "fields", "issues", "notes"} <= layer.keys()
            todo = list(layer["fields"])
            while todo:
                field = todo.pop()
                assert {"name", "label", "value", "text", "start", "stop"} <= field.keys()
                assert 0 <= field["start"] <= field["stop"]
                todo.extend(field.get("children", []))


def test_the_bytes_of_show_are_those_of_the_capture() -> None:
    text = run("show", SSE, "-n", "12", "-x").stdout.decode()
    rows = [line.split("  ") for line in text.splitlines() if line[:2] == "  " and line[2:6].strip("0123456789abcdef") == ""]
    data = b"".join(bytes.fromhex(row[2] + row[3]) for row in rows)
    assert b"GET /orders/events" in data


def test_fields_by_filter() -> None:
    asked = ("fields", SSE, "-e", "frame.number", "-e", "tcp.port", "-E", "separator=;")
    every = run(*asked).stdout.decode().splitlines()
    some = run(*asked, "-Y", "tcp").stdout.decode().splitlines()
    assert some[0].split(";")[1].count(",") == 1
    assert some == [line for line in every if not line.endswith(";")]


def test_exchanges() -> None:
    (one,) = [json.loads(line) for line in run("exchanges", SSE, "--json").stdout.splitlines()]
    assert one["method"] == "GET" and one["status"] == 200 and one["media_type"] == "text/event-stream"
    assert [item["kind"] for item in one["items"]].count("sse") == len(one["items"]) > 5
    assert one["phases"]["wait"] > 0 and one["request"]["packet"] < one["response"]["packet"]
    har = json.loads(run("exchanges", SSE, "--har").stdout)
    assert har["log"]["entries"][0]["response"]["status"] == 200
    assert run("exchanges", SSE, "-Y", "frame.number == 1").stdout.decode().startswith("no exchange")


def test_exchanges_say_where_the_time_went_that_somebody_waited() -> None:
    lines = run("exchanges", "slow-server").stdout.decode().splitlines()
    at = next(at for at, line in enumerate(lines) if "/statistics" in line)
    assert lines[at + 1].strip() == "wait 1.533 s"  # the second request of its connection: the server took it all
    quick = run("exchanges", "jwt").stdout.decode().splitlines()
    assert "wait" not in quick[quick.index(next(line for line in quick if " 2 " in line[:8])) + 1]


def test_what_there_is_is_listed() -> None:
    cards, lessons = (run(command).stdout.decode().splitlines() for command in ("card", "lesson"))
    assert any(line.split() == ["http2", "layer", "7", "HTTP/2"] for line in cards)
    assert any(line.startswith("sse-cut ") for line in lessons)


def test_help_cuts_no_sentence() -> None:
    assert "..." not in run("--help", COLUMNS="80").stdout.decode().partition("Commands:")[2]


def test_follow() -> None:
    raw = run("follow", SSE, "--stream", "0", "--raw").stdout
    assert raw.startswith(b"GET /orders/events") and b"\r\n\r\n" in raw
    pieces = [json.loads(line) for line in run("follow", SSE, "--stream", "0", "--json").stdout.splitlines()]
    assert {piece["from"] for piece in pieces} == {"client", "server"}
    assert b"".join(base64.b64decode(piece["data"]) for piece in pieces) == raw
    assert pieces[0]["text"].startswith("GET /orders/events")
    dump = run("follow", SSE, "--stream", "0", "--hex").stdout.decode().splitlines()
    assert dump[0].startswith("00000000  47 45 54 20") and any(line.startswith("    00000000") for line in dump)
    assert run("follow", SSE, "--stream", "http:0").stdout.count(b"event: order") == raw.count(b"event: order")
    said = run("follow", "websocket-chat", "--stream", "websocket:0").stdout.decode()
    assert "── client, packet" in said and "Welcome to the room." in said


def test_info() -> None:
    facts = json.loads(run("info", SSE, "--json").stdout)
    assert facts["packets"] == 42 and facts["protocols"]["eth"]["packets"] == 42
    assert facts["protocols"]["eth"]["inside"]["ip"]["inside"]["tcp"]["packets"] > 10
    ends = {end["address"]: end for end in facts["endpoints"]}
    assert ends["192.0.2.80"]["packets_sent"] + ends["192.0.2.80"]["packets_received"] > 10
    assert b"eth0, Ethernet II (link type 1)\n" in run("info", SSE).stdout


def test_show_of_a_bundled_capture_is_quick() -> None:
    """Not a measurement: something heavy that is imported by mistake costs seconds."""
    begun = time.perf_counter()
    assert run("show", "sse", "-n", "1").returncode == 0
    assert time.perf_counter() - begun < 10


def test_no_protocol_is_imported_before_the_first_screen() -> None:
    code = "import sys, inspector.cli.open_, inspector.tui.app; print([m for m in sys.modules if 'inspector.protocols' in m])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_a_card_says_of_each_property_which_bytes_show_it_or_why_none_do() -> None:
    lines = run("card", "http2", "smtp", "--file", "https-http2-multiplex").stdout.decode().splitlines()
    shown = lines[lines.index("HTTP/2 in this capture") + 1 :]
    told = [line for line in shown if line.startswith("  ")]
    titles = ("data format", "transfer mode", "addressing", "direction", "state", "routing", "flow and congestion", "errors")
    assert all(any(line.startswith(f"  {title}  ") for line in told) for title in titles)
    assert all("packet " in line or "no bytes: " in line for line in told)
    assert shown[-1] == "no SMTP in this capture: there are no bytes to show"
    http2 = json.loads(run("card", "http2", "--file", "https-http2-multiplex", "--json").stdout)
    assert len(http2["evidence"]) + len(http2["unshown"]) == 8 and "errors" in http2["unshown"]
