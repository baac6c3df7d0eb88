"""A client that orders a report, and asks for the job as often as the server says, until there is something to fetch."""

from __future__ import annotations

import sys
import time
from urllib.parse import urljoin

import requests


def main(url: str) -> None:
    with requests.Session() as session:
        session.trust_env = False
        answer = session.post(url, json={"month": "2026-01", "format": "csv"}, timeout=10)
        place = urljoin(url, answer.headers["Location"])
        while "Retry-After" in answer.headers:
            time.sleep(int(answer.headers["Retry-After"]))
            answer = session.get(place, timeout=10)  # follows the 303 to the report
            print(answer.status_code, answer.url)


if __name__ == "__main__":
    main(sys.argv[1])
