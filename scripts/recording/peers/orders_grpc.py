"""The service of orders.proto, and a client that makes one call of each kind and one that fails; stubs are compiled beside it.

    python orders_grpc.py server ADDRESS PORT
    python orders_grpc.py client ADDRESS PORT
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator

import grpc
import orders_pb2 as pb
import orders_pb2_grpc as stubs

BEAT = 0.1  # seconds between the messages of a stream


class Orders(stubs.OrdersServicer):  # type: ignore[misc]
    async def Get(self, request: pb.OrderId, context: grpc.aio.ServicerContext) -> pb.Order:
        if request.number != 1001:
            await context.abort(grpc.StatusCode.NOT_FOUND, f"no order has the number {request.number}, sorry: Zürich")
        items = [pb.Item(name="mug", count=3, cents=1250), pb.Item(name="voucher", count=1, cents=-500)]
        return pb.Order(number=1001, customer="Alice", items=items, express=True, weight=1.5)

    async def Watch(self, request: pb.OrderId, context: grpc.aio.ServicerContext) -> AsyncIterator[pb.Change]:
        for state in ("received", "packed", "on its way", "delivered"):
            yield pb.Change(number=request.number, state=state)
            await asyncio.sleep(BEAT)

    async def Import(self, requests: AsyncIterator[pb.Order], context: grpc.aio.ServicerContext) -> pb.Summary:
        summary = pb.Summary()
        async for order in requests:
            summary.orders += 1
            summary.cents += sum(item.count * item.cents for item in order.items)
        return summary

    async def Talk(self, questions: AsyncIterator[pb.Question], context: grpc.aio.ServicerContext) -> AsyncIterator[pb.Answer]:
        async for question in questions:
            yield pb.Answer(text=f"You asked: {question.text}")


async def serve(at: str) -> None:
    server = grpc.aio.server()
    stubs.add_OrdersServicer_to_server(Orders(), server)
    server.add_insecure_port(at)
    await server.start()
    await server.wait_for_termination()


async def call(at: str) -> None:
    async with grpc.aio.insecure_channel(at) as channel:
        orders = stubs.OrdersStub(channel)
        print(await orders.Get(pb.OrderId(number=1001)))
        async for change in orders.Watch(pb.OrderId(number=1001)):
            print(change.state)
        print(await orders.Import(new_orders(), compression=grpc.Compression.Gzip))
        async for answer in orders.Talk(questions()):
            print(answer.text)
        try:
            await orders.Get(pb.OrderId(number=4711))
        except grpc.aio.AioRpcError as error:
            print(error.code(), error.details())


async def new_orders() -> AsyncIterator[pb.Order]:
    for number in (2001, 2002, 2003):
        items = [pb.Item(name=f"mug number {n}", count=n, cents=990) for n in range(1, 6)]
        yield pb.Order(number=number, customer="Bob the wholesaler", items=items, weight=number / 8)
        await asyncio.sleep(BEAT)


async def questions() -> AsyncIterator[pb.Question]:
    for text in ("Where is it?", "When will it come?"):
        yield pb.Question(text=text)
        await asyncio.sleep(BEAT)


if __name__ == "__main__":
    asyncio.run({"server": serve, "client": call}[sys.argv[1]](f"{sys.argv[2]}:{sys.argv[3]}"))
