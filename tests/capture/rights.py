"""What this machine allows the tests of captures."""

from __future__ import annotations

import socket

import pytest


def _may_capture() -> bool:
    try:
        socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0).close()
    except (OSError, AttributeError):
        return False
    return True


root = pytest.mark.skipif(not _may_capture(), reason="capturing needs CAP_NET_RAW on Linux")
