"""A client that asks with a bearer token, and gets a new one when it is told that the old one has expired.

    python token_client.py URL FILE     FILE: where the token is kept between two runs
"""

from __future__ import annotations

import json
import sys
import time
from base64 import urlsafe_b64decode
from pathlib import Path

import httpx


def fetch(client: httpx.Client) -> str:
    """A new token, for the program itself (RFC 6749, 4.4)."""
    secret = {"client_id": "reports", "client_secret": "correct horse battery staple"}
    token: str = client.post("/token", data={"grant_type": "client_credentials", **secret}).json()["access_token"]
    return token


def main(url: str, file: Path) -> None:
    with httpx.Client(base_url=url, trust_env=False, timeout=10) as client:
        if file.exists():
            token = file.read_text()
        else:
            file.write_text(token := fetch(client))
            print(client.get("/orders", headers={"Authorization": f"Bearer {token}"}).status_code)
            return
        print(client.get("/orders", headers={"Authorization": f"Bearer {token}"}).status_code)
        part = token.split(".")[1]
        expires = json.loads(urlsafe_b64decode(part + "=" * (-len(part) % 4)))["exp"]
        time.sleep(max(expires - time.time(), 0) + 0.2)  # other work, and the token grows old meanwhile
        answer = client.get("/orders", headers={"Authorization": f"Bearer {token}"})
        if answer.status_code == httpx.codes.UNAUTHORIZED:
            token = fetch(client)
            answer = client.get("/orders", headers={"Authorization": f"Bearer {token}"})
        print(answer.status_code)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
