"""A client that pipelines: three requests in one write, then three answers (RFC 9112, 9.3.2)."""

from __future__ import annotations

import socket
import sys
from http.client import HTTPResponse

PATHS = ("/style.css", "/logo.svg", "/")


def main(host: str, address: str) -> None:
    requests = [f"GET {path} HTTP/1.1\r\nHost: {host}\r\n" for path in PATHS]
    requests[-1] += "Connection: close\r\n"
    with socket.create_connection((address, 80)) as connection:
        connection.sendall("".join(f"{request}\r\n" for request in requests).encode())
        with connection.makefile("rb") as stream:
            for path in PATHS:
                response = HTTPResponse(_Reading(stream), method="GET")  # type: ignore[arg-type]
                response.begin()
                print(path, response.status, len(response.read()))


class _Reading:
    """What HTTPResponse wants of a socket: a file, which here must outlive each answer."""

    def __init__(self, stream: object) -> None:
        self.stream = stream

    def makefile(self, mode: str) -> _Reading:
        return self

    def close(self) -> None:
        """The next answer is still to be read."""

    def __getattr__(self, name: str) -> object:
        return getattr(self.stream, name)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
