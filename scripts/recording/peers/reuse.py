"""A client that asks, has other things to do for as long as the server keeps an idle connection, and asks again.

    python reuse.py URL SECONDS
"""

from __future__ import annotations

import sys
import time

import requests


def main(url: str, idle: float) -> None:
    with requests.Session() as session:
        session.trust_env = False
        print(session.get(url, timeout=10).status_code)
        time.sleep(idle)
        try:
            print(session.get(url, timeout=10).status_code)
        except requests.ConnectionError as error:
            print(error)
            print(session.get(url, timeout=10).status_code)  # GET is idempotent: it may be sent again (RFC 9110, 9.2.2)


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]))
