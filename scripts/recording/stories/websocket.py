"""WebSocket."""

from __future__ import annotations

import sys
from pathlib import Path

from inspector.capture.labs import certificates
from recording.lab import PEERS, WEB4, Lab
from recording.story import Look, Story


def chat(lab: Lab, path: Path) -> bytes:
    lab.resolver()
    lab.serve(sys.executable, str(PEERS / "chat_server.py"), WEB4, "80", port=80)
    with lab.capture(path):
        lab.run(sys.executable, str(PEERS / "chat_clients.py"), "ws://chat.example.test/room")
    return b""


def encrypted(lab: Lab, path: Path) -> bytes:
    files = certificates.chain(lab.dir, "chat.example.test", "ec")
    lab.resolver()
    lab.serve(sys.executable, str(PEERS / "chat_server.py"), WEB4, "443", str(files.chain), str(files.key), port=443)
    keys = lab.dir / "keys.txt"
    with lab.capture(path):
        url = "wss://chat.example.test/room"
        script = str(PEERS / "chat_visitor.py")
        lab.run(sys.executable, script, url, SSL_CERT_FILE=str(files.root), SSLKEYLOGFILE=str(keys))
    return keys.read_bytes()


STORIES = (
    Story(
        name="websocket-chat",
        title="Three people in a chat room",
        teaches="""Three WebSocket connections to one room: what one says, the server sends to all three. Two of them agreed on
            permessage-deflate, the third did not, so that the same sentence travels in two shapes. Clients
            mask what they send, servers do not; several frames share one segment, one message comes in four
            frames with a ping between them, and there are three different ways to say goodbye.""",
        record=chat,
        peers=("websockets", "Python", "unbound"),
        looks=(
            Look(
                "http.request.method == GET",
                "An ordinary GET asks to leave HTTP: Upgrade: websocket, a random key, and permessage-deflate offered.",
            ),
            Look(
                "http.response.code == 101",
                "101: from the next byte on this connection speaks WebSocket. Sec-WebSocket-Accept is derived from "
                "the key, so that only a WebSocket server can say it.",
                comment=True,
            ),
            Look(
                "websocket && tcp.stream == 0",
                "Three frames in one segment: the server held the history back until it was complete (TCP_CORK).",
                comment=True,
            ),
            Look(
                'http.request.uri contains "carol"', "Carol offers no Sec-WebSocket-Extensions: her messages stay as they are."
            ),
            Look(
                "websocket.mask == 1 && websocket.opcode == 1 && tcp.stream == 0",
                "Alice speaks: masked, as all that a client sends; RSV1 says that the payload is deflated.",
            ),
            Look(
                'websocket.opcode == 1 && tcp.payload contains "Coffee in"',
                "Alice's sentence on its way to Carol, uncompressed and readable; the other two got it deflated just before.",
                comment=True,
            ),
            Look(
                "websocket.opcode == 1 && websocket.fin == 0",
                "FIN is 0: the first part of Bob's message. RSV1 stands on the first frame only and holds for the "
                "whole message.",
                comment=True,
            ),
            Look(
                "websocket.opcode == 9 && tcp.stream == 1",
                "A ping between the parts of a message: control frames may come in between, other messages may not.",
                comment=True,
            ),
            Look("websocket.opcode == 10 && tcp.stream == 1", "The pong brings the ping's payload back."),
            Look(
                "websocket.opcode == 0 && websocket.fin == 1",
                "The last frame of the message, with FIN and a single byte of compressed data.",
            ),
            Look(
                "websocket.opcode == 2 && websocket.mask == 1",
                "Binary, 300 bytes: more than 125, so the length field says 126 and two more bytes hold the length.",
            ),
            Look(
                "websocket.opcode == 8 && tcp.stream == 0",
                "Alice closes with {websocket.payload.close.status_code}, normal closure, and a reason; the server "
                "answers with the same.",
            ),
            Look(
                "websocket.opcode == 8 && tcp.stream == 1", "Bob closes with {websocket.payload.close.status_code}, going away."
            ),
            Look(
                "websocket.opcode == 8 && tcp.stream == 2",
                "Here the server closes, with {websocket.payload.close.status_code}: codes from 4000 on belong to the "
                "application.",
                comment=True,
            ),
        ),
        requires={"http.response.code == 101": 3, "websocket.opcode == 8": 6, "websocket.fin == 0": 3},
    ),
    Story(
        name="websocket-tls",
        title="WebSocket over TLS: one visitor in the chat room",
        teaches="""A wss:// connection: TCP handshake, TLS handshake, HTTP upgrade, and only then the first frame, three round
            trips after the name was known. Inside the encryption nothing has changed: the client still masks its frames
            although nobody on the way can read them, for the rule protects proxies and not secrets. TLS knows nothing
            of messages, and WebSocket nothing of records.""",
        record=encrypted,
        peers=("websockets", "Python", "unbound"),
        looks=(
            Look("tls.handshake.type == 1", "The ClientHello; no ALPN, since the WebSocket upgrade needs HTTP/1.1 anyway."),
            Look("http.request", "The upgrade request, encrypted: nobody on the path sees that this will be a WebSocket."),
            Look("http.response.code == 101", "101, and the greeting of the room follows at once.", comment=True),
            Look("websocket.mask == 1 && websocket.opcode == 1", "Masked and encrypted: two transformations, two reasons."),
            Look("websocket.opcode == 8", "Close frame {websocket.payload.close.status_code}, then TLS says close_notify too."),
        ),
        requires={"http.response.code == 101": 1, "websocket.opcode == 8": 2},
    ),
)
