"""Fields of protocols above the transport: what is built for them alone gives the same cells as whole dissections."""

from __future__ import annotations

import pytest

from inspector.query.fields import _upper, cells
from inspector.session import open_session
from inspector.sources.bundled import bundled

WANTED = frozenset(
    {"http", "http.request.uri", "http.response.code", "http.time", "tls.record.length", "tls.record.content_type", "dns.id"}
    | {"tls.handshake.type", "websocket.opcode", "json.key"}
)


@pytest.mark.parametrize("capture", [capture.name for capture in bundled()])
def test_cells_are_the_same(capture: str) -> None:
    session = open_session(capture)
    only = _upper(session, WANTED)
    assert only is not None and {"http", "tls", "websocket", "dns"} <= only
    for number in range(1, session.count + 1):
        found = session.completed(number, only)
        if found is not None:
            assert cells(session, found, WANTED) == cells(session, session.dissect(number), WANTED)
    session.close()


def test_lower_layers_need_whole_dissections() -> None:
    session = open_session("http-get")
    assert _upper(session, frozenset({"http.request.uri", "tcp.seq"})) is None
    assert _upper(session, frozenset({"frame.protocols"})) is None
    session.close()
