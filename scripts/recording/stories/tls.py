"""HTTPS, and a certificate that the client refuses."""

from __future__ import annotations

from pathlib import Path

from recording import certificates
from recording.lab import Lab
from recording.story import Story

CURL = ("curl", "--silent", "--show-error", "--http1.1")


def tls12(lab: Lab, path: Path) -> bytes:
    files = certificates.chain(lab.dir, "www.example.test", "rsa")
    lab.resolver()
    lab.nginx(tls=f"ssl_protocols TLSv1.2; ssl_session_cache shared:sessions:1m; lingering_close always; {files.nginx}")
    url = "https://www.example.test/logo.svg"
    with lab.capture(path):
        lab.run(*CURL, "--cacert", str(files.root), "--header", "Connection: close", url, url)
    return b""


def tls13(lab: Lab, path: Path) -> bytes:
    files = certificates.chain(lab.dir, "www.example.test", "ec")
    lab.resolver()
    lab.nginx(tls=f"ssl_protocols TLSv1.2 TLSv1.3; {files.nginx}")
    keys = lab.dir / "keys.txt"
    with lab.capture(path):
        lab.run(*CURL, "--cacert", str(files.root), "https://www.example.test/", SSLKEYLOGFILE=str(keys))
    return keys.read_bytes()


def bad_certificate(lab: Lab, path: Path) -> bytes:
    files = certificates.self_signed(lab.dir, "www.example.test")
    lab.resolver()
    lab.nginx(tls=f"ssl_protocols TLSv1.2 TLSv1.3; {files.nginx}")
    keys = lab.dir / "keys.txt"
    with lab.capture(path):
        for more in ((), ("--tls-max", "1.2")):
            lab.run(*CURL, *more, "https://www.example.test/", status=60, SSLKEYLOGFILE=str(keys))
    return keys.read_bytes()


STORIES = (
    Story("https-tls12", "t", "t", tls12, ("curl", "nginx", "unbound"), ()),
    Story("https-tls13", "t", "t", tls13, ("curl", "nginx", "unbound"), ()),
    Story("tls-bad-certificate", "t", "t", bad_certificate, ("curl", "nginx", "unbound"), ()),
)
