"""A small network for one recording: two namespaces, `client` and `server`, joined by a veth pair.

Nothing outlives the `with` block: processes are ended by their pid, namespaces and files removed, also after a failure or
Ctrl-C. Needs root on Linux.

Addresses and names are those kept for documentation (RFC 5737, RFC 3849, RFC 7042 section 2.1.1, RFC 6761), so that no
capture points at anybody.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import string
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType

from inspector.capture.labs.certificates import Files

PEERS = Path(__file__).resolve().parent / "peers"
PACKAGE = PEERS.parents[2]  # peers import this very code

CLIENT4, WEB4, DNS4, PROXY4 = "192.0.2.10", "192.0.2.80", "192.0.2.53", "192.0.2.60"
CLIENT6, WEB6 = "2001:db8::10", "2001:db8::80"
ADDRESSES = {"client": (CLIENT4, CLIENT6), "server": (WEB4, DNS4, WEB6), "proxy": (PROXY4,)}
MAC = {"client": "00:00:5e:00:53:0a", "server": "00:00:5e:00:53:50", "proxy": "00:00:5e:00:53:3c"}

START_SECONDS = 10.0  # a server that does not listen by then has failed
RUN_SECONDS = 60.0  # a client that has not ended by then hangs
STOP_SECONDS = 3.0  # between asking a process to end and killing it
MLD_SECONDS = 1.0  # until the kernel's multicast reports for the new addresses are through
LAST_PACKET_SECONDS = 0.6  # until the last acknowledgement is through and dumpcap has read it

# What makes Ethernet look like a wire: no segments larger than the MTU, every checksum computed by the sender.
OFFLOADS = ("tso", "gso", "gro", "tx", "rx")
SYSCTLS = {
    "ipv4/tcp_congestion_control": "reno",  # every kernel allows it; it sends as the window allows, without pacing
    "ipv4/tcp_early_retrans": "0",  # no tail loss probes: after a round trip of microseconds they race delayed acknowledgements
    "ipv6/conf/eth0/addr_gen_mode": "1",  # no link-local address: only those given below
    "ipv6/conf/eth0/accept_ra": "0",
    "ipv6/conf/eth0/mldv2_unsolicited_report_interval": "50",
}


class RecordingError(Exception):
    """The recording cannot be made, or is not what its story says: one sentence for the user."""


class Process:
    """A started program; ended by `stop`, or by the lab at the latest."""

    def __init__(self, name: str, popen: subprocess.Popen[bytes], log: Path) -> None:
        self.name, self.popen, self.log = name, popen, log

    def stop(self, sign: signal.Signals = signal.SIGTERM) -> None:
        if self.popen.poll() is None:
            self.popen.send_signal(sign)
            try:
                self.popen.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.popen.kill()
                self.popen.wait()

    def wait_for(self, ready: Callable[[], bool], what: str) -> None:
        """Wait until `ready`; `RecordingError` when the process ends before, or never gets there."""
        end = time.monotonic() + START_SECONDS
        while not ready():
            if self.popen.poll() is not None or time.monotonic() > end:
                said = self.log.read_text(errors="replace").strip() or "it said nothing"
                raise RecordingError(f"{self.name} {what}: {said}")
            time.sleep(0.02)


class Lab:
    """`with Lab(name) as lab`: an empty network; stories start servers, run clients and capture in it."""

    def __init__(self) -> None:
        self._stack = contextlib.ExitStack()
        self._names = {end: f"osi-{end}-{os.getpid()}" for end in ("client", "server")}
        self.dir = Path()

    def __enter__(self) -> Lab:
        with contextlib.ExitStack() as stack:  # unwinds what exists already when a later step fails
            self.dir = Path(tempfile.mkdtemp(prefix="osi-recording-"))
            stack.callback(shutil.rmtree, self.dir, ignore_errors=True)
            for end in ("client", "server"):
                self._make_namespace(stack, end)
            self._join()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stack.close()

    def _make_namespace(self, stack: contextlib.ExitStack, end: str) -> None:
        name = self._names[end]
        etc = Path("/etc/netns") / name  # `ip netns exec` binds these files over those in /etc
        etc.mkdir(parents=True)
        stack.callback(shutil.rmtree, etc, ignore_errors=True)
        resolver = DNS4 if end == "client" else "127.0.0.1"
        (etc / "resolv.conf").write_text(f"nameserver {resolver}\n")
        (etc / "nsswitch.conf").write_text("hosts: files dns\n")
        (etc / "hosts").write_text("127.0.0.1 localhost\n::1 localhost\n")
        command("ip", "netns", "add", name)
        stack.callback(command, "ip", "netns", "delete", name)
        command("ip", "-n", name, "link", "set", "lo", "up")

    def _join(self) -> None:
        client, server = self._names["client"], self._names["server"]
        peer = ("name", "eth0", "netns", server, "address", MAC["server"])
        command("ip", "-n", client, "link", "add", "eth0", "address", MAC["client"], "type", "veth", "peer", *peer)
        self._configure()

    def _configure(self) -> None:
        for end, name in self._names.items():
            command("ip", "netns", "exec", name, "ethtool", "-K", "eth0", *(word for o in OFFLOADS for word in (o, "off")))
            for key, value in SYSCTLS.items():
                command("ip", "netns", "exec", name, "sh", "-c", f"echo {value} >/proc/sys/net/{key}")
            command("ip", "-n", name, "link", "set", "eth0", "up")
            for address in ADDRESSES[end]:
                bits, more = ("64", ["nodad"]) if ":" in address else ("24", [])
                command("ip", "-n", name, "address", "add", f"{address}/{bits}", "dev", "eth0", *more)
        time.sleep(MLD_SECONDS)

    def lossy_switch(self, rule: str) -> None:
        """Put a switch between the two ends that drops what the nftables `rule` matches: loss that neither end sees."""
        switch = self._switch()
        chain = f"{{ type filter hook forward priority 0; {rule} drop; }}"
        command("ip", "netns", "exec", switch, "nft", f"table bridge wire {{ chain losses {chain}; }}")

    def proxy(self) -> None:
        """A third end, `proxy`, beside the other two on a switch."""
        self._names["proxy"] = f"osi-proxy-{os.getpid()}"
        self._make_namespace(self._stack, "proxy")
        self._switch()

    def long_path(self, milliseconds: float) -> None:
        """Put a path between the two ends on which every frame takes `milliseconds`."""
        path = self._middle()
        self._configure()
        forwarder = (sys.executable, str(PEERS / "long_path.py"), "client", "server", str(milliseconds))
        process = self.start(*forwarder, end=path)
        process.wait_for(lambda: "forwarding" in process.log.read_text(errors="replace"), "does not forward")

    def router(self, mtu: int) -> str:
        """Put a router between the two ends, whose link to the client's passes only packets of `mtu` bytes; its namespace."""
        router = self._middle()
        self._configure()
        for end, near, far in (("client", "198.51.100.10", "198.51.100.1"), ("server", WEB4, "192.0.2.1")):
            name = self._names[end]
            if end == "client":
                command("ip", "-n", name, "address", "flush", "dev", "eth0")
                command("ip", "-n", name, "address", "add", f"{near}/24", "dev", "eth0")
            command("ip", "-n", router, "address", "add", f"{far}/24", "dev", end)
            command("ip", "-n", name, "route", "add", "default", "via", far)
        command("ip", "-n", router, "link", "set", "client", "mtu", str(mtu))
        command("ip", "netns", "exec", router, "sh", "-c", "echo 1 >/proc/sys/net/ipv4/ip_forward")
        return router

    def filter(self, rule: str, end: str = "server", hook: str = "input") -> None:
        """A packet filter (nftables) at an end, or in another namespace of the lab's."""
        chain = f"{{ type filter hook {hook} priority 0; {rule}; }}"
        command("ip", "netns", "exec", self._names.get(end, end), "nft", f"table inet faults {{ chain rules {chain}; }}")

    def address(self, address: str, end: str = "server") -> None:
        """One more address."""
        command("ip", "-n", self._names[end], "address", "add", f"{address}/24", "dev", "eth0")

    def _switch(self) -> str:
        """Join the ends with a switch, and return the name of the namespace that it is in."""
        switch = self._middle()
        command("ip", "-n", switch, "link", "add", "switch", "type", "bridge", "mcast_snooping", "0")
        command("ip", "-n", switch, "link", "set", "switch", "up")
        for end in self._names:
            command("ip", "-n", switch, "link", "set", end, "master", "switch")
        self._configure()
        return switch

    def _middle(self) -> str:
        """A namespace into which every end's cable leads, in place of the one that joined the two; its ports have the ends'
        names."""
        middle = f"osi-middle-{os.getpid()}"
        command("ip", "-n", self._names["client"], "link", "delete", "eth0")
        command("ip", "netns", "add", middle)
        self._stack.callback(command, "ip", "netns", "delete", middle)
        command("ip", "netns", "exec", middle, "sh", "-c", "echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6")
        for end, name in self._names.items():
            peer = ("name", end, "netns", middle)
            command("ip", "-n", name, "link", "add", "eth0", "address", MAC[end], "type", "veth", "peer", *peer)
            command("ip", "netns", "exec", middle, "ethtool", "-K", end, *(word for o in OFFLOADS for word in (o, "off")))
            command("ip", "-n", middle, "link", "set", end, "up")
        return middle

    def use_resolver(self, address: str) -> None:
        """Let the programs of the client end ask the resolver at `address`."""
        (Path("/etc/netns") / self._names["client"] / "resolv.conf").write_text(f"nameserver {address}\n")

    def _command(self, end: str, args: Sequence[str]) -> list[str]:
        return ["ip", "netns", "exec", self._names.get(end, end), *args]  # replaces itself: the pid is the program's

    def environment(self, **more: str) -> dict[str, str]:
        """Nothing of the user's reaches a recording: no ~/.curlrc, no proxy, no locale."""
        return {"PATH": os.environ["PATH"], "HOME": str(self.dir), "LC_ALL": "C.UTF-8", **more}

    def start(self, *args: str, end: str = "server", **env: str) -> Process:
        """Start a program that stays; it is ended with the lab. end: or the name of another namespace of the lab's."""
        log = self.dir / f"{Path(args[0]).name}.log"
        with log.open("wb") as out:
            popen = subprocess.Popen(
                self._command(end, args),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                env=self.environment(**env),
                cwd=self.dir,
                start_new_session=True,
            )
        process = Process(Path(args[0]).name, popen, log)
        self._stack.callback(process.stop)
        return process

    def serve(self, *args: str, port: int, udp: bool = False, end: str = "server", **env: str) -> Process:
        """Start a server and wait until it listens on `port`."""
        process = self.start(*args, end=end, **env)
        process.wait_for(lambda: port in listening(process.popen.pid, udp), f"does not listen on port {port}")
        return process

    def run(self, *args: str, status: int = 0, stdin: str = "", **env: str) -> str:
        """Run a client program to its end in the client namespace and return what it wrote; it must end with `status`.

        stdin: what it reads.
        """
        try:
            done = subprocess.run(
                self._command("client", args),
                input=stdin.encode(),
                capture_output=True,
                cwd=self.dir,
                env=self.environment(**env),
                timeout=RUN_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise RecordingError(f"{args[0]} did not end within {RUN_SECONDS:.0f} seconds") from None
        if done.returncode != status:
            said = done.stderr.decode(errors="replace").strip()
            raise RecordingError(f"{args[0]} ended with status {done.returncode}, not {status}: {said}")
        return done.stdout.decode(errors="replace")

    @contextlib.contextmanager
    def capture(self, path: Path, interface: str = "eth0", end: str = "client") -> Iterator[None]:
        """Record what passes an interface of the client's, or of another `end`, into the pcapng file `path`."""
        dumpcap = self.start("dumpcap", "-q", "-i", interface, "-w", str(path), end=end)
        dumpcap.wait_for(lambda: "File:" in dumpcap.log.read_text(errors="replace"), "does not capture")
        yield
        time.sleep(LAST_PACKET_SECONDS)
        dumpcap.stop(signal.SIGINT)

    # The servers that more than one story needs.

    def resolver(self, end: str = "server", listen: str = DNS4, web: str = WEB4) -> None:
        """Unbound, which knows the zone example.test; names of web servers lead to `web`."""
        for name in ("example.test.zone", "reverse.zone"):
            self.write(name, name, web=web)
        config = self.write("unbound.conf", "unbound.conf", listen=listen, dir=str(self.dir))
        self.serve("unbound", "-d", "-c", str(config), port=53, udp=True, end=end)

    def nginx(
        self,
        end: str = "server",
        listen: Sequence[str] = (WEB4, f"[{WEB6}]"),
        tls: str = "",
        more: str = "",
        http2: bool = False,
        files: Mapping[str, bytes] | None = None,
    ) -> None:
        """nginx with the small site of `peers/site` and `files` beside it.

        tls: the directives of an HTTPS server instead of a plain one; more: further directives.
        """
        site = self.dir / "site"
        shutil.copytree(PEERS / "site", site)
        for name, data in (files or {}).items():
            (site / name).write_bytes(data)
        for file in site.iterdir():  # Last-Modified and ETag come from this time; the same in every recording
            os.utime(file, (1767268800, 1767268800))  # 2026-01-01 12:00 UTC
        port = f"443 ssl{' http2' if http2 else ''}" if tls else "80"
        lines = "\n        ".join([*(f"listen {address}:{port};" for address in listen), tls, more])
        config = self.write("nginx.conf", "nginx.conf", dir=str(self.dir), server=lines)
        self.serve(
            "nginx", "-c", str(config), "-p", str(self.dir), "-e", str(self.dir / "error.log"), port=443 if tls else 80, end=end
        )

    def app(self, module: str, tls: Files | None = None, **env: str) -> Process:
        """An ASGI application of `peers`, under uvicorn on port 80, or on 443 with the certificate `tls`."""
        port = 443 if tls else 80
        options = ["--ssl-certfile", str(tls.chain), "--ssl-keyfile", str(tls.key)] if tls else []
        options += ["--http", "h11", "--loop", "asyncio", "--log-level", "warning"]
        uvicorn = (sys.executable, "-m", "uvicorn", f"{module}:app", "--app-dir", str(PEERS), "--host", WEB4)
        env = {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": str(PACKAGE), **env}
        return self.serve(*uvicorn, "--port", str(port), *options, port=port, **env)

    def write(self, name: str, template: str, **values: str) -> Path:
        """Fill a template of `peers` and write it into the lab's folder."""
        path = self.dir / name
        path.write_text(string.Template((PEERS / template).read_text()).substitute(values))
        return path


def command(*args: str) -> None:
    """Run a short administrative command; `RecordingError` with its own words when it fails."""
    done = subprocess.run(args, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    if done.returncode:
        said = (done.stderr + done.stdout).decode(errors="replace").strip()
        raise RecordingError(f"`{' '.join(args)}` failed: {said}")


def listening(pid: int, udp: bool) -> set[int]:
    """The local ports on which a socket listens (TCP) or is bound without a peer (UDP) in the namespace of process `pid`."""
    ports = set()
    for table in ("udp", "udp6") if udp else ("tcp", "tcp6"):
        with contextlib.suppress(OSError):  # the process has ended, or the kernel has no IPv6
            for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
                _, local, _, state, *_ = line.split()
                if state == ("07" if udp else "0A"):  # include/net/tcp_states.h: TCP_CLOSE, TCP_LISTEN
                    ports.add(int(local.rpartition(":")[2], 16))
    return ports
