"""Findings about PostgreSQL sessions (PostgreSQL documentation, 55.2 and 55.7)."""

from __future__ import annotations

from collections.abc import Iterator

from inspector.annotations.findings.finding import MS, Finding, Talk, milliseconds
from inspector.core.layer import Severity

IDLE_NS = 1_000 * MS  # a program that works between two statements needs milliseconds; a person or another service needs longer
READY_FOR_QUERY, IN_TRANSACTION, FAILED = b"Z", b"T", b"E"


def idle_in_transaction(talk: Talk) -> Iterator[Finding]:
    """The server waits inside a transaction, and the client says nothing for long: locks and a pool slot are held."""
    ready: tuple[int, bytes] | None = None
    found: list[tuple[int, int, int, bytes]] = []
    for pdu in talk.units:
        if pdu.protocol != "pgsql":
            continue
        if pdu.info.get("client"):
            if ready is not None:
                found.append((ready[0], pdu.packet, talk.time(pdu.packet) - talk.time(ready[0]), ready[1]))
            ready = None
            continue
        message = pdu.span.buffer.read(pdu.span.start, pdu.span.start + 6)
        if message[:1] == READY_FOR_QUERY and pdu.complete:
            ready = (pdu.packet, message[5:6]) if message[5:6] in (IN_TRANSACTION, FAILED) else None
    if ready is not None and talk.ending is not None:
        row, _ = talk.ending
        end = talk.connection.packet[row]
        found.append((ready[0], int(end), int(talk.connection.time[row]) - talk.time(ready[0]), ready[1]))
    long = [one for one in found if one[2] >= IDLE_NS]
    if long and not talk.connection.misses_packets:
        longest = max(one[2] for one in long)
        failed = "a failed transaction" if any(one[3] == FAILED for one in long) else "a transaction"
        cause = f"the client leaves {failed} open and says nothing for {milliseconds(longest)}"
        cause += f", {len(long)} times" if len(long) > 1 else ""
        cure = "commit before waiting for anything else; idle_in_transaction_session_timeout ends what is forgotten"
        packets = [packet for one in long for packet in one[:2]]
        yield talk.finding("idle-in-transaction", Severity.WARNING, packets, cause, cure,
                           "PostgreSQL, 55.7 (ReadyForQuery)", len(long))  # fmt: skip


TALK_RULES = (idle_in_transaction,)
