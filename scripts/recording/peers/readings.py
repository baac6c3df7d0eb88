"""A service that takes readings of sensors."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route


async def take(request: Request) -> Response:
    reading = await request.json()
    return JSONResponse({"taken": reading["reading"]}, status_code=201)


app = Starlette(routes=[Route("/readings", take, methods=["POST"])])
