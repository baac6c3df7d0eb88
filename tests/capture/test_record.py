"""`record` with real sockets: whose packets are kept, with which keys, and what passes through."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.request import HTTPSHandler, ProxyHandler, build_opener

import pytest

from inspector.capture.labs import certificates
from inspector.session import Session, open_session

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="live capture needs Linux"),
    pytest.mark.skipif(hasattr(os, "geteuid") and os.geteuid() != 0, reason="live capture needs root here"),
]
NOT_INSTALLED = "{} is not installed"


class Server:
    """HTTPS and HTTP on loopback, in this process. ports: of the clients that asked for a path that begins with /mine."""

    def __init__(self, files: certificates.Files) -> None:
        self.root = str(files.root)
        self.ports: set[int] = set()
        ports = self.ports

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                if self.path.startswith("/mine"):
                    ports.add(self.client_address[1])
                body = f"you asked for {self.path}".encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *words: object) -> None:
                """Nothing."""

        self.https = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(files.chain, files.key)
        self.https.socket = context.wrap_socket(self.https.socket, server_side=True)
        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        for server in (self.https, self.http):
            threading.Thread(target=server.serve_forever, daemon=True).start()
        self.url = f"https://localhost:{self.https.server_port}"
        self.plain = f"http://127.0.0.1:{self.http.server_port}"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    made = Server(certificates.self_signed(tmp_path_factory.mktemp("certificate"), "localhost"))
    yield made
    for one in (made.https, made.http):
        one.shutdown()
        one.server_close()


@pytest.fixture
def busy(server: Server) -> Iterator[None]:
    """Another client that makes one HTTPS connection after the other to the same server, some of them slow."""
    stopping = threading.Event()
    context = ssl.create_default_context(cafile=server.root)

    def ask() -> None:
        opener = build_opener(ProxyHandler({}), HTTPSHandler(context=context))
        while not stopping.wait(0.01):
            opener.open(f"{server.url}/other", timeout=10).read()

    threads = [threading.Thread(target=ask, daemon=True) for _ in range(2)]
    for thread in threads:
        thread.start()
    yield
    stopping.set()
    for thread in threads:
        thread.join()


def record(*words: str, stdin: str = "", **env: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "inspector", "record", "--no-open", *words]
    return subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=60, env={**os.environ, **env})


def targets(session: Session) -> list[str]:
    return [exchange.target for exchange in session.exchanges()]


def tshark(path: Path, *words: str) -> list[str]:
    done = subprocess.run(["tshark", "-n", "-r", str(path), *words], capture_output=True, text=True, check=True)
    return done.stdout.split("\n")[:-1]


@pytest.mark.skipif(not shutil.which("curl"), reason=NOT_INSTALLED.format("curl"))
@pytest.mark.skipif(not shutil.which("tcpdump"), reason=NOT_INSTALLED.format("tcpdump"))
@pytest.mark.skipif(not shutil.which("tshark"), reason=NOT_INSTALLED.format("tshark"))
def test_curl_is_decrypted_whole_and_alone_while_another_client_is_busy(server: Server, busy: None, tmp_path: Path) -> None:
    path, beside = tmp_path / "curl.pcapng", tmp_path / "beside.pcap"
    server.ports.clear()
    filter_ = f"tcp port {server.https.server_port}"
    with subprocess.Popen(
        ["tcpdump", "-i", "lo", "-U", "-B", "16384", "-w", str(beside), filter_], stderr=subprocess.PIPE, text=True
    ) as dump:
        assert dump.stderr is not None
        dump.stderr.readline()  # it listens
        done = record("-w", str(path), "--", "curl", "-sS", "--cacert", server.root, f"{server.url}/mine/[1-3]")
        time.sleep(1.2)  # tcpdump is handed a block that is not full after a second
        dump.send_signal(signal.SIGINT)
        dump.wait()
    assert done.returncode == 0, done.stderr
    assert done.stdout == "".join(f"you asked for /mine/{n}" for n in (1, 2, 3))

    assert tshark(path, "-Y", "http.request", "-T", "fields", "-e", "http.request.uri") == ["/mine/1", "/mine/2", "/mine/3"]
    clients = set(server.ports)
    whole = open_session(str(beside))
    kept = open_session(str(path))
    assert len(whole.index.flows) > len(kept.index.flows)  # the other client was there
    assert targets(kept) == ["/mine/1", "/mine/2", "/mine/3"]

    def frames(session: Session) -> list[bytes]:
        flows = session.index.flows
        own = [flow for flow in range(len(flows)) if {flows.sport(flow), flows.dport(flow)} & clients]
        return [session.packet(n).data for flow in own for n in session.index.flow_packets(flow).tolist()]

    assert frames(kept) == frames(whole) and kept.count == len(frames(kept))
    assert path.stat().st_mode & 0o777 == 0o600
    assert any("curl (process" in comment for comment in kept.comments(1))


@pytest.mark.skipif(not shutil.which("curl"), reason=NOT_INSTALLED.format("curl"))
def test_all_keeps_what_the_other_client_said(server: Server, busy: None, tmp_path: Path) -> None:
    path = tmp_path / "all.pcapng"
    done = record("--all", "-w", str(path), "--", "curl", "-sS", "--cacert", server.root, f"{server.url}/mine")
    assert done.returncode == 0, done.stderr
    session = open_session(str(path))
    assert targets(session) == ["/mine"]  # nobody has the other one's keys
    assert len(session.index.flows) > 1


def test_output_input_and_status_pass_through(tmp_path: Path) -> None:
    done = record("-w", str(tmp_path / "x.pcapng"), "--", "sh", "-c", "cat; echo to the other >&2; exit 7", stdin="in\n")
    assert (done.returncode, done.stdout) == (7, "in\n")
    assert done.stderr.startswith("to the other\n")


def test_a_signal_of_the_command_is_its_status(tmp_path: Path) -> None:
    done = record("-w", str(tmp_path / "x.pcapng"), "--", "sh", "-c", "kill -KILL $$")
    assert done.returncode == 128 + signal.SIGKILL


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_signals_reach_the_command_and_the_file_is_whole(number: signal.Signals, tmp_path: Path) -> None:
    path = tmp_path / "x.pcapng"
    word = number.name.removeprefix("SIG")
    script = f"trap 'echo got it; exit 5' {word}; echo ready; while :; do sleep 0.05; done"
    command = [sys.executable, "-m", "inspector", "record", "--no-open", "-w", str(path), "--", "sh", "-c", script]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(number)
        assert process.stdout.read() == "got it\n"
        assert process.wait(20) == 5
    assert open_session(str(path)).damage is None


def test_no_such_command() -> None:
    done = record("--", "no-such-command-anywhere")
    assert (done.returncode, done.stdout) == (127, "")
    assert "no-such-command-anywhere: no such command" in done.stderr


def test_a_file_that_cannot_be_written_is_told_before_the_command_runs(tmp_path: Path) -> None:
    done = record("-w", str(tmp_path / "no" / "x.pcapng"), "--", "touch", str(tmp_path / "touched"))
    assert done.returncode == 2 and f"there is no directory {tmp_path / 'no'}" in done.stderr
    assert "a directory" in record("-w", str(tmp_path), "--", "touch", str(tmp_path / "touched")).stderr
    assert not (tmp_path / "touched").exists()


def test_no_such_interface() -> None:
    done = record("-i", "nowhere0", "--", "true")
    assert done.returncode == 2 and "nowhere0" in done.stderr and "Traceback" not in done.stderr


NODE = """
require("https").get(process.argv[1], {rejectUnauthorized: false}, r => r.on("data", d => process.stdout.write(d)))
"""


@pytest.mark.skipif(not shutil.which("node"), reason=NOT_INSTALLED.format("node"))
def test_node(server: Server, tmp_path: Path) -> None:
    path = tmp_path / "node.pcapng"
    done = record("-w", str(path), "--", "node", "-e", NODE, f"{server.url}/mine")
    assert (done.returncode, done.stdout) == (0, "you asked for /mine"), done.stderr
    assert targets(open_session(str(path))) == ["/mine"]


HTTPX = "import httpx, ssl, sys; print(httpx.get(sys.argv[1], verify=ssl.create_default_context(cafile=sys.argv[2])).text)"
REQUESTS = "import requests, sys; print(requests.get(sys.argv[1], verify=sys.argv[2]).text)"
URLLIB = """
import ssl, sys, urllib.request
context = ssl.create_default_context(cafile=sys.argv[2])
print(urllib.request.urlopen(sys.argv[1], context=context).read().decode())
"""
SECRETIVE = URLLIB.replace(
    "ssl.create_default_context(", "ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT); context.load_verify_locations("
)


@pytest.mark.parametrize(("name", "script"), [("httpx", HTTPX), ("requests", REQUESTS), ("urllib", URLLIB)])
def test_python(name: str, script: str, server: Server, tmp_path: Path) -> None:
    pytest.importorskip(name)
    path = tmp_path / "python.pcapng"
    done = record("-w", str(path), "--", sys.executable, "-c", script, f"{server.url}/mine", server.root, NO_PROXY="*")
    assert (done.returncode, done.stdout) == (0, "you asked for /mine\n"), done.stderr
    assert targets(open_session(str(path))) == ["/mine"]


WEBSOCKET = """
import ssl, sys
from websockets.sync.client import connect
with connect(sys.argv[1], ssl=ssl.create_default_context(cafile=sys.argv[2]), proxy=None) as room:
    room.send("Good morning")
    print(room.recv())
"""


def test_python_websockets(tmp_path: Path) -> None:
    serving = pytest.importorskip("websockets.sync.server")
    files, path = certificates.self_signed(tmp_path, "localhost"), tmp_path / "websocket.pcapng"
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.chain, files.key)
    with serving.serve(lambda room: room.send(room.recv()[::-1]), "127.0.0.1", 0, ssl=context) as room:
        threading.Thread(target=room.serve_forever, daemon=True).start()
        url = f"wss://localhost:{room.socket.getsockname()[1]}/mine"
        done = record("-w", str(path), "--", sys.executable, "-c", WEBSOCKET, url, str(files.root))
        room.shutdown()
    assert (done.returncode, done.stdout) == (0, "gninrom dooG\n"), done.stderr
    [exchange] = open_session(str(path)).exchanges()
    assert (exchange.status, exchange.target) == (101, "/mine")
    assert [item.from_client for item in exchange.items if item.pdu.protocol == "websocket.message"] == [True, False]


CHROMIUM = ("chromium", "--headless", "--no-sandbox", "--disable-gpu", "--ignore-certificate-errors", "--dump-dom")


@pytest.mark.skipif(not shutil.which("chromium"), reason=NOT_INSTALLED.format("chromium"))
def test_chromium(server: Server, tmp_path: Path) -> None:
    path = tmp_path / "chromium.pcapng"
    done = record("-w", str(path), "--", *CHROMIUM, f"--user-data-dir={tmp_path / 'profile'}", f"{server.url}/mine")
    assert done.returncode == 0 and "you asked for /mine" in done.stdout, done.stderr
    session = open_session(str(path))
    assert "/mine" in targets(session)
    assert {flow for flow in range(len(session.index.flows)) if session.decrypts(flow)}
    assert "wrote no key" not in done.stderr


def test_a_program_that_writes_no_keys_is_told(server: Server, tmp_path: Path) -> None:
    path = tmp_path / "python.pcapng"
    words = (sys.executable, "-c", SECRETIVE + "\nimport time; time.sleep(0.1)", f"{server.url}/mine", server.root)
    done = record("-w", str(path), "--", *words, NO_PROXY="*")
    assert done.returncode == 0, done.stderr
    assert "spoke TLS and wrote no key" in done.stderr
    session = open_session(str(path))
    assert len(session.index.flows) == 1 and targets(session) == []


def test_the_packets_of_a_grandchild_that_outlives_its_parent(server: Server, tmp_path: Path) -> None:
    path = tmp_path / "child.pcapng"
    fetch = f"import urllib.request, time; r = urllib.request.urlopen({server.plain + '/mine'!r}); time.sleep(0.2); r.read()"
    script = '("$0" -c "$1" &) ; sleep 1'
    done = record("-w", str(path), "--", "sh", "-c", script, sys.executable, fetch, NO_PROXY="*")
    assert done.returncode == 0, done.stderr
    session = open_session(str(path))
    assert targets(session) == ["/mine"]
    assert any("python" in comment and "held the socket" in comment for comment in session.comments(1)), session.comments(1)


def test_a_connection_of_somebody_else_is_left_out(server: Server, tmp_path: Path) -> None:
    path = tmp_path / "plain.pcapng"
    with socket.create_connection(("127.0.0.1", server.http.server_port)) as other:
        other.sendall(b"GET /other HTTP/1.1\r\nHost: x\r\n\r\n")
        while b"/other" not in other.recv(4096):
            pass
        fetch = f"import time, urllib.request as u; r = u.urlopen({server.plain + '/mine'!r}); time.sleep(0.3); r.read()"

        def again() -> None:
            time.sleep(1.0)
            for _ in range(20):
                other.sendall(b"GET /other HTTP/1.1\r\nHost: x\r\n\r\n")
                time.sleep(0.05)

        talking = threading.Thread(target=again)
        talking.start()
        done = record("-w", str(path), "--", "sh", "-c", 'sleep 1; "$0" -c "$1"', sys.executable, fetch, NO_PROXY="*")
        talking.join()
    assert targets(open_session(str(path))) == ["/mine"], done.stderr


def test_after_sudo_the_command_runs_as_the_user(tmp_path: Path) -> None:
    nobody = pwd.getpwnam("nobody")
    done = record("--", "sh", "-c", "id -u; id -g; stat -c %a:%u $SSLKEYLOGFILE; echo $HOME",
                  SUDO_UID=str(nobody.pw_uid), SUDO_GID=str(nobody.pw_gid), SUDO_USER="nobody")  # fmt: skip
    assert done.stdout.split() == [str(nobody.pw_uid), str(nobody.pw_gid), f"600:{nobody.pw_uid}", nobody.pw_dir], done.stderr
