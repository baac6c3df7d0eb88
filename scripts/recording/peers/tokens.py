"""A service that remembers nobody: who asks brings a signed token (JWT, RFC 7519) that says who it is and until when.

The key of the signature is all that it needs, so that it may restart, or be ten servers, between two requests.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

KEY = os.environ["TOKEN_KEY"].encode()
LIVES = 4  # seconds: short, so that a recording sees the end


def encoded(data: bytes) -> str:
    return urlsafe_b64encode(data).decode().rstrip("=")


def signature(signed: str) -> str:
    return encoded(hmac.digest(KEY, signed.encode(), hashlib.sha256))


def issued(subject: str) -> str:
    now = int(time.time())
    claims = {"iss": "https://login.example.test", "sub": subject, "aud": "orders", "iat": now, "exp": now + LIVES,
              "scope": "orders:read"}  # fmt: skip
    signed = ".".join(encoded(json.dumps(part).encode()) for part in ({"alg": "HS256", "typ": "JWT"}, claims))
    return f"{signed}.{signature(signed)}"


def claims(token: str) -> dict[str, Any]:
    """Of a token that this service signed; ValueError where it did not."""
    signed, _, given = token.rpartition(".")
    if not hmac.compare_digest(given, signature(signed)):
        raise ValueError("the signature is wrong")
    part = signed.split(".")[1]
    found: dict[str, Any] = json.loads(urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return found


async def token(request: Request) -> Response:
    await request.body()  # who asks is not looked at here
    answer = {"access_token": issued("alice"), "token_type": "Bearer", "expires_in": LIVES}
    return JSONResponse(answer, headers={"Cache-Control": "no-store"})


async def orders(request: Request) -> Response:
    scheme, _, value = request.headers.get("authorization", "").partition(" ")
    try:
        found = claims(value) if scheme.lower() == "bearer" else None
    except ValueError:
        found = None
    if found is None:
        return JSONResponse({"error": "who are you?"}, 401, {"WWW-Authenticate": 'Bearer realm="orders"'})
    if found["exp"] <= time.time():
        why = 'Bearer realm="orders", error="invalid_token", error_description="The access token expired"'
        return JSONResponse({"error": "the token has expired"}, 401, {"WWW-Authenticate": why})  # RFC 6750, 3
    return JSONResponse({"owner": found["sub"], "orders": ["A-1001", "A-1002"]})


app = Starlette(routes=[Route("/token", token, methods=["POST"]), Route("/orders", orders)])
