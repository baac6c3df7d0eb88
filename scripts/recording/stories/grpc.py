"""gRPC."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from recording.lab import PEERS, WEB4, Lab
from recording.story import Look, Story

SCHEMA = Path(__file__).resolve().parents[3] / "captures" / "grpc-streams.proto"  # bundled too, for `--proto`


def streams(lab: Lab, path: Path) -> bytes:
    shutil.copy(PEERS / "orders_grpc.py", lab.dir)
    shutil.copy(SCHEMA, lab.dir / "orders.proto")
    lab.run(sys.executable, "-m", "grpc_tools.protoc", "-I.", "--python_out=.", "--grpc_python_out=.", "orders.proto")
    lab.serve(sys.executable, "orders_grpc.py", "server", WEB4, "50051", port=50051)
    with lab.capture(path):
        lab.run(sys.executable, "orders_grpc.py", "client", WEB4, "50051")
    return b""


STORIES = (
    Story(
        name="grpc-streams",
        title="gRPC: four kinds of calls, and one that fails",
        teaches="""Every call is a stream of one HTTP/2 connection; every message is five bytes of length in front of a
            protobuf. One answer to one request, a stream of answers, a stream of requests (compressed), and both at
            once look alike on the wire: HEADERS, DATA, and trailers, which hold the status. The fifth call fails, and
            its HTTP status is 200 all the same: grpc-status 5 says NOT_FOUND. Without the schema a protobuf is numbers
            and bytes; the schema that lies beside this capture, grpc-streams.proto, gives them their names.""",
        record=streams,
        peers=("grpcio", "Python"),
        looks=(
            Look("http2.magic", "Prior knowledge: no TLS, no upgrade; the client knows that HTTP/2 is spoken here."),
            Look(
                'http2.headers.path == "/example.orders.Orders/Get"',
                "The path names the service and the method: {http2.headers.path}.",
            ),
            Look("grpc && http2.type == 0", "Five bytes before each message: compressed or not, and how long it is.", True),
            Look(
                'http2.header.name == "grpc-status"',
                "Trailers: HEADERS behind the DATA, with the status of the call.",
            ),
        ),
        requires={"http2": None, 'http2.header.name == "grpc-status"': None, "tcp.flags.syn == 1": 2},
        expect=("grpc-status",),
    ),
)
