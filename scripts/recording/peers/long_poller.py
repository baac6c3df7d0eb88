"""A client that has the server hold its question until there is news (RFC 7240, 4.3: Prefer: wait)."""

from __future__ import annotations

import sys

import httpx

QUESTIONS = 6
WAIT = 1  # seconds


def main(url: str) -> None:
    known = 0
    with httpx.Client(trust_env=False, timeout=10) as client:
        for _ in range(QUESTIONS):
            answer = client.get(url, params={"after": known}, headers={"Prefer": f"wait={WAIT}"})
            if answer.status_code == httpx.codes.OK:
                known = answer.json()["news"]
            print(answer.status_code, known)


if __name__ == "__main__":
    main(sys.argv[1])
