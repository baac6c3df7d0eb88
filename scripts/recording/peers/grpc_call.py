"""A gRPC call to a server that speaks HTTP/2 and no gRPC."""

from __future__ import annotations

import sys

import grpc


def main(target: str) -> None:
    with grpc.insecure_channel(target) as channel:
        call = channel.unary_unary("/example.orders.Orders/Get")
        try:
            call(b"\n\x06A-1001", timeout=5)
        except grpc.RpcError as error:
            print(error)


if __name__ == "__main__":
    main(sys.argv[1])
