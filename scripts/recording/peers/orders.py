"""A small JSON service: orders are made one by one, or many at once."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route


async def create(request: Request) -> Response:
    order = await request.json()
    made = {"id": "A-1001", "state": "received", **order}
    response = JSONResponse(made, status_code=201, headers={"Location": "/orders/A-1001"})
    response.set_cookie("session", "3f9c1d5e7a", path="/orders", httponly=True, samesite="lax")
    return response


async def create_many(request: Request) -> Response:
    orders = await request.json()
    made = [{"id": f"A-{1002 + number}", "state": "received", **order} for number, order in enumerate(orders)]
    return JSONResponse({"count": len(made), "orders": made})


app = Starlette(
    routes=[Route("/orders", create, methods=["POST"]), Route("/orders/batch", create_many, methods=["POST"])],
    middleware=[Middleware(GZipMiddleware, minimum_size=500)],
)
