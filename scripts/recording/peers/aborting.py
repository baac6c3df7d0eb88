"""An HTTP server that promises a long answer, sends a little of it, and resets the connection."""

from __future__ import annotations

import socket
import struct
import sys
import time
from http.server import BaseHTTPRequestHandler, HTTPServer


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/csv; charset=utf-8")
        self.send_header("Content-Length", "40000")
        self.end_headers()
        self.wfile.write(b"order,customer,state\n" + b"".join(b"A-%04d,customer %d,packed\n" % (n, n) for n in range(100)))
        time.sleep(0.1)  # the client has read all of it
        # Lingering zero seconds means: close() throws away what is unsent and sends RST, not FIN (ABORT, RFC 9293, 3.10.5).
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True


class Server(HTTPServer):
    def shutdown_request(self, request: socket.socket) -> None:  # type: ignore[override]
        """Close without the shutdown() of the base class, which would send FIN first."""
        request.close()


if __name__ == "__main__":
    Server((sys.argv[1], int(sys.argv[2])), Handler).serve_forever()
