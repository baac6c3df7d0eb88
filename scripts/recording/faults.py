"""Faults that no bundled capture shows: for each finding a recording of real programs that make it."""

from __future__ import annotations

import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from inspector.capture.labs import certificates
from recording.lab import PEERS, PROXY4, WEB4, Lab
from recording.stories.tcp import orders

CURL = ("curl", "--silent", "--show-error")
STATIC = "http://static.example.test"


def syn_unanswered(lab: Lab, path: Path) -> bytes:
    lab.filter("tcp dport 8080 drop")
    with lab.capture(path):
        lab.run(*CURL, "--connect-timeout", "4", f"http://{WEB4}:8080/", status=28)  # curl: time-out
    return b""


def destination_unreachable(lab: Lab, path: Path) -> bytes:
    lab.filter("tcp dport 8080 reject with icmp type admin-prohibited")
    with lab.capture(path):
        lab.run(*CURL, "--connect-timeout", "4", f"http://{WEB4}:8080/", status=7)  # curl: cannot connect
    return b""


def path_mtu(lab: Lab, path: Path) -> bytes:
    lab.router(mtu=1300)
    lab.nginx(listen=[WEB4], files={"orders.csv": orders()[:20_000]})
    with lab.capture(path, end="server"):
        lab.run(*CURL, "--output", "got.csv", f"http://{WEB4}/orders.csv")
    return b""


def path_mtu_black_hole(lab: Lab, path: Path) -> bytes:
    router = lab.router(mtu=1300)
    lab.filter("ip protocol icmp drop", end=router, hook="output")
    lab.serve("node", str(PEERS / "two_writes.mjs"), WEB4, "80", port=80)
    with lab.capture(path, end="server"):
        lab.run(*CURL, "--max-time", "4", "--output", "got.csv", f"http://{WEB4}/orders.csv", status=28)
    return b""


def window_limited(lab: Lab, path: Path) -> bytes:
    lab.long_path(20)
    lab.nginx(listen=[WEB4], files={"orders.csv": orders()[:40_000]})
    with lab.capture(path, end="server"):  # at the sender: at the reader each acknowledgement stands before what it lets go
        lab.run(sys.executable, str(PEERS / "slow_reader.py"), "static.example.test", WEB4, "/orders.csv", "0")
    return b""


def idle_cutoff(lab: Lab, path: Path) -> bytes:
    lab.nginx(listen=[WEB4], more="keepalive_timeout 5s;")
    with lab.capture(path):
        lab.run(sys.executable, str(PEERS / "reuse.py"), f"http://{WEB4}/logo.svg", "5.5")
    return b""


def no_reuse(lab: Lab, path: Path) -> bytes:
    lab.nginx(listen=[WEB4])
    with lab.capture(path):
        for _ in range(5):
            lab.run(*CURL, f"http://{WEB4}/logo.svg")
    return b""


def six_connection_queue(lab: Lab, path: Path) -> bytes:
    lab.serve("node", str(PEERS / "two_writes.mjs"), WEB4, "80", port=80)
    with lab.capture(path):
        lab.run("node", str(PEERS / "six.mjs"), f"http://{WEB4}/picture")
    return b""


def slow_dns(lab: Lab, path: Path) -> bytes:
    lab.long_path(120)
    lab.resolver()
    with lab.capture(path):
        lab.run("dig", "www.example.test")
    return b""


def dns_retried(lab: Lab, path: Path) -> bytes:
    lab.filter("udp dport 53 drop")
    with lab.capture(path):
        lab.run("dig", "+tries=2", "+timeout=1", "www.example.test", status=9)  # dig: no reply from a server
    return b""


def address_family_fallback(lab: Lab, path: Path) -> bytes:
    lab.resolver()
    lab.nginx()
    lab.filter("meta nfproto ipv6 tcp dport 80 drop")
    with lab.capture(path):
        lab.run(*CURL, "--output", "got.svg", f"{STATIC}/logo.svg")
    return b""


def no_tls_resumption(lab: Lab, path: Path) -> bytes:
    files = certificates.chain(lab.dir, "www.example.test", "ec")
    lab.resolver()
    lab.nginx(listen=[WEB4], tls=files.nginx + " ssl_protocols TLSv1.3;")
    keys = lab.dir / "keys.txt"
    with lab.capture(path):
        for _ in range(2):  # two processes: neither knows what the other was given
            lab.run(*CURL, "--http2", "--cacert", str(files.root), "https://www.example.test/logo.svg", SSLKEYLOGFILE=str(keys))
    return keys.read_bytes()


def ping_unanswered(lab: Lab, path: Path) -> bytes:
    server = lab.serve(sys.executable, str(PEERS / "chat_server.py"), WEB4, "80", port=80)
    with lab.capture(path):
        client = lab.start(sys.executable, str(PEERS / "pinging.py"), f"ws://{WEB4}/room?name=alice", end="client")
        client.wait_for(lambda: "connected" in client.log.read_text(), "does not connect")
        server.popen.send_signal(signal.SIGSTOP)  # its kernel acknowledges; the program is frozen
        client.popen.wait(10)
        server.popen.send_signal(signal.SIGCONT)
    return b""


def websocket_abnormal(lab: Lab, path: Path) -> bytes:
    server = lab.serve(sys.executable, str(PEERS / "chat_server.py"), WEB4, "80", port=80)
    with lab.capture(path):
        client = lab.start(sys.executable, str(PEERS / "pinging.py"), f"ws://{WEB4}/room?name=alice", end="client")
        client.wait_for(lambda: "connected" in client.log.read_text(), "does not connect")
        server.stop(signal.SIGKILL)
        client.popen.wait(10)
    return b""


def flow_control_stall(lab: Lab, path: Path) -> bytes:
    lab.nginx(listen=[f"{WEB4}:80 http2;#"], files={"orders.csv": orders()[:72_000]})
    with lab.capture(path):
        lab.run("node", str(PEERS / "http2_client.mjs"), f"http://{WEB4}", "/orders.csv")
    return b""


def grpc_status_missing(lab: Lab, path: Path) -> bytes:
    more = 'location /example.orders.Orders/ { default_type application/grpc; return 200 ""; }'
    lab.nginx(listen=[f"{WEB4}:80 http2;#"], more=more)
    with lab.capture(path):
        lab.run(sys.executable, str(PEERS / "grpc_call.py"), f"{WEB4}:80")
    return b""


def cookie_affinity(lab: Lab, path: Path) -> bytes:
    second = "192.0.2.81"
    lab.proxy()
    lab.address(second)
    for address in (WEB4, second):
        lab.serve("node", str(PEERS / "carts.mjs"), address, "80", port=80)
    config = lab.write("proxy.conf", "balancer.conf", dir=str(lab.dir), listen=PROXY4, first=WEB4, second=second)
    lab.serve("nginx", "-c", str(config), "-p", str(lab.dir), "-e", str(lab.dir / "error.log"), port=80, end="proxy")
    with lab.capture(path, end="proxy"):
        for _ in range(2):
            for route in "ab":
                lab.run(*CURL, "--cookie", f"route={route}", f"http://{PROXY4}/cart")
    return b""


def idle_in_transaction(lab: Lab, path: Path) -> bytes:
    return transaction(lab, path, "\\! sleep 2")  # somebody thinks


def transaction_in_time(lab: Lab, path: Path) -> bytes:
    """No fault: the counterpart of `idle_in_transaction`."""
    return transaction(lab, path, "SELECT 1;")


def transaction(lab: Lab, path: Path, between: str) -> bytes:
    """PostgreSQL, which does not run as root, and psql."""
    data = lab.dir / "database"
    data.mkdir()
    shutil.chown(data, "postgres")
    lab.dir.chmod(0o755)
    own = ("setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups")
    lab.run(*own, "initdb", "--pgdata", str(data), "--auth", "trust", "--no-sync")
    with (data / "pg_hba.conf").open("a") as allowed:
        allowed.write("host all all 192.0.2.0/24 trust\n")
    lab.serve(*own, "postgres", "-D", str(data), "-h", WEB4, "-k", str(data), port=5432)
    with lab.capture(path):
        target = f"host={WEB4} user=postgres dbname=postgres sslmode=disable gssencmode=disable"
        lab.run("psql", "--no-psqlrc", target, stdin=f"BEGIN;\n{between}\nCOMMIT;\n")
    return b""


FAULTS: dict[str, Callable[[Lab, Path], bytes]] = {
    record.__name__.replace("_", "-"): record
    for record in (
        syn_unanswered, destination_unreachable, path_mtu, path_mtu_black_hole, window_limited, idle_cutoff, no_reuse,
        six_connection_queue, slow_dns, dns_retried, address_family_fallback, no_tls_resumption, ping_unanswered,
        websocket_abnormal, flow_control_stall, grpc_status_missing, cookie_affinity,
        idle_in_transaction, transaction_in_time,
    )
}  # fmt: skip
