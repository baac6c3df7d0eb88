"""A TCP connection: how it opens, where it loses and waits, how it closes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from inspector.annotations.findings.finding import Connection
from inspector.annotations.findings.tcp import nagle_delayed_ack
from inspector.annotations.story.step import Narrated, Step, duration, listed, sentence, step
from inspector.core.tcp_flags import ACK, FIN, RST, SYN
from inspector.core.text import counted
from inspector.streams.analysis import RESENT, Mark
from inspector.streams.tcp_states import State

STALL_MARKS = Mark.ZERO_WINDOW | Mark.ZERO_WINDOW_PROBE | Mark.ZERO_WINDOW_PROBE_ACK | Mark.WINDOW_CLOSED
PLACES = 3  # packets of one kind that a sentence names
EPISODE_NS = 100_000_000  # losses nearer to one another than this are told together


class Ends:
    """The two ends of a connection as the sentences call them."""

    def __init__(self, capture: Narrated, connection: Connection) -> None:
        self.capture = capture
        self.connection = connection
        flows = capture.index.flows
        self.client = connection.client if connection.client >= 0 else 0
        addresses, ports = flows.addresses(connection.flow), (flows.sport(connection.flow), flows.dport(connection.flow))
        if connection.client < 0 and ports[0] < ports[1]:  # it began before the capture: servers listen on the lower port
            self.client = 1
        first = int(connection.packet[0])
        self.names: list[str] = []
        for side in (0, 1):
            known = capture.name(addresses[side], first)
            end = connection.end(side)
            self.names.append(end if known == end.rpartition(":")[0].strip("[]") else f"{known} ({end})")

    def who(self, direction: int) -> str:
        """`the client` or `the server`: who opened the connection, and who answered."""
        return "the client" if direction == self.client else "the server"


def opening(capture: Narrated, ends: Ends) -> Iterator[Step]:
    """The handshake (RFC 9293, 3.5), or why there is none."""
    c = ends.connection
    client, server = ends.names[ends.client], ends.names[1 - ends.client]
    if c.client < 0:
        text = f"{client} and {server} are already connected when this capture begins: the handshake is not here."
        yield step(capture, "connect", [int(c.packet[0])], text, c.flow)
        return
    syns = np.flatnonzero((c.flags & (SYN | ACK) == SYN) & (c.direction == c.client))
    answers = np.flatnonzero((c.flags & (SYN | ACK) == SYN | ACK) & (c.direction != c.client))
    refusals = np.flatnonzero((c.flags & RST != 0) & (c.direction != c.client))
    asked = [int(c.packet[row]) for row in syns]
    text = f"{client} asks {server} for a connection (SYN)"
    if not len(answers):
        text += f", {counted(len(syns), 'time')}" if len(syns) > 1 else ""
        if len(refusals):
            row = int(refusals[0])
            after = duration(int(c.time[row] - c.time[syns[0]]))
            text += f"; the answer, {after} later, is a reset: nobody listens on that port, or something on the way refuses"
            yield step(capture, "connect", [*asked, int(c.packet[row])], sentence(text), c.flow)
        else:
            text += "; no answer is in this capture. A filter drops it, the host is away, or the capture ends too early"
            yield step(capture, "connect", asked, sentence(text), c.flow)
        return
    row = int(answers[0])
    text = f"{client} opens a connection to {server}"
    done = np.flatnonzero((c.direction == c.client) & (c.flags & (SYN | ACK) == ACK) & (np.arange(c.size) > row))
    packets = [*asked, int(c.packet[row])]
    if len(syns) > 1:
        text += f" with {len(syns)} attempts"
    text += f": SYN, answered with SYN ACK after {duration(int(c.time[row] - c.time[syns[0]]))}"
    if len(done):
        packets.append(int(c.packet[done[0]]))
        text += f", and ACK {duration(int(c.time[done[0]] - c.time[row]))} later"
    text += f". {_agreed(capture, int(c.packet[syns[0]]), int(c.packet[row]))}"
    yield step(capture, "connect", packets, text, c.flow)


def _agreed(capture: Narrated, syn: int, answer: int) -> str:
    """What the options of SYN and SYN ACK agree on: an option counts where both have it."""
    layers = [layer for number in (syn, answer) if (layer := capture.layers(number).last("tcp")) is not None]
    if len(layers) < 2:
        return "What was agreed cannot be read."
    kinds = [{field.value for field in layer.walk() if field.name == "tcp.option_kind"} for layer in layers]
    sizes = [layer.value("tcp.options.mss_val") for layer in layers]
    said = []
    if None not in sizes:
        same = sizes[0] == sizes[1]
        said.append(
            f"each accepts segments of up to {sizes[0]:,} bytes"
            if same else f"the client accepts segments of up to {sizes[0]:,} bytes, the server of {sizes[1]:,}"
        )  # fmt: skip
    both = kinds[0] & kinds[1]
    agreed = [word for kind, word in ((4, "selective acknowledgements"), (8, "timestamps")) if kind in both]
    if 3 in both:
        units = [counted(1 << min(layer.value("tcp.options.wscale.shift", 0), 14), "byte") for layer in layers]
        unit = units[0] if units[0] == units[1] else f"{units[0]} (the client's) and {units[1]} (the server's)"
        agreed.append(f"windows counted in units of {unit}")
    said.append(f"both agree on {listed(agreed)}" if agreed else "no further option is agreed on")
    return sentence("; ".join(said))


def trouble(capture: Narrated, ends: Ends) -> Iterator[Step]:
    """Losses and resends, told together where they come together; closed windows; long silences."""
    c = ends.connection
    stalls = list(_closed_windows(capture, ends))
    yield from stalls
    held = {packet for stall in stalls for packet in stall.packets}
    rows = [int(row) for row in c.marked(RESENT | Mark.OUT_OF_ORDER | Mark.LOST_SEGMENT | Mark.ACK_LOST_SEGMENT)]
    rows = [row for row in rows if int(c.packet[row]) not in held]
    episode: list[int] = []
    since = 0
    for row in rows:
        if episode and c.time[row] - c.time[episode[-1]] > EPISODE_NS:
            yield _losses(capture, ends, episode, since)
            since, episode = episode[-1] + 1, []
        episode.append(row)
    if episode:
        yield _losses(capture, ends, episode, since)
    yield from _keep_alives(capture, ends, held)
    for found in nagle_delayed_ack(c):
        yield step(capture, "trouble", sorted(found.packets), sentence(found.cause), c.flow)


def _losses(capture: Narrated, ends: Ends, rows: Sequence[int], since: int) -> Step:
    """rows: of one episode; since: behind this row its duplicate acknowledgements may begin."""
    c = ends.connection
    told = []
    for direction in (0, 1):
        own = [row for row in rows if c.direction[row] == direction]
        lost = [row for row in own if c.marks[row] & int(Mark.LOST_SEGMENT)]
        if lost:
            places = [f"{int(c.packet[row])}" for row in lost[:PLACES]]
            more = f" and {len(lost) - PLACES} more places" if len(lost) > PLACES else ""
            before = f"packet{'s' if len(lost) > 1 else ''} {listed(places) if not more else ', '.join(places)}{more}"
            why = "lost or overtaken on the way, or not captured"
            told.append(f"bytes of {ends.who(direction)} are missing before {before}: {why}")
        late = [row for row in own if c.marks[row] & int(Mark.OUT_OF_ORDER)]
        if late:
            comes = "comes" if len(late) == 1 else "come"
            which = f"{counted(len(late), 'segment')} of {ends.who(direction)}"
            told.append(f"{which} {comes} late, behind later ones (packet {int(c.packet[late[0]])})")
        resent = [row for row in own if c.marks[row] & int(RESENT)]
        if resent:
            told.append(_resent(ends, direction, resent))
        unseen = [row for row in own if c.marks[row] & int(Mark.ACK_LOST_SEGMENT)]
        if unseen:
            told.append(
                f"{ends.who(direction)} acknowledges bytes that this capture never showed (packet {int(c.packet[unseen[0]])}):"
                " the capture missed them, not the receiver"
            )
    duplicates = int(np.count_nonzero(c.marks[since : rows[-1] + 1] & int(Mark.DUPLICATE_ACK)))
    text = sentence("; ".join(told))
    if duplicates:
        text += f" {counted(duplicates, 'duplicate acknowledgement')} told the sender that something was missing."
    return step(capture, "trouble", [int(c.packet[row]) for row in rows], text, c.flow)


def _resent(ends: Ends, direction: int, rows: list[int]) -> str:
    """Segments that are sent again, and why."""
    c = ends.connection
    closing = [row for row in rows if c.flags[row] & FIN and not c.length[row]]
    opening = [row for row in rows if c.flags[row] & SYN]
    size = int(c.length[rows].sum())
    what = []
    if count := len(rows) - len(closing) - len(opening):
        what.append(f"{counted(count, 'segment')} ({counted(size, 'byte')})")
    what += ["its SYN"] if opening else []
    what += ["its FIN"] if closing else []
    fast = sum(bool(c.marks[row] & int(Mark.FAST_RETRANSMISSION)) for row in rows)
    needless = sum(bool(c.marks[row] & int(Mark.SPURIOUS_RETRANSMISSION)) for row in rows)
    known = [c.tcp.analysis.of(int(c.packet[row])) for row in rows if _seen(c, row)]
    waits = [found.rto for found in known if found is not None and found.rto]
    why = []
    if fast:
        why.append(f"{f'{fast:,} of them ' if fast < len(rows) else ''}at once, since acknowledgements told of a hole")
    if waits:
        some = f"{len(waits):,} of them " if len(waits) < len(rows) else ""
        most = f"{duration(max(waits))}{' at most' if len(waits) > 1 else ''}"
        probes = sum(bool(c.marks[row] & int(Mark.TAIL_PROBE)) for row in rows)
        soon = ": too soon for a time-out, so rather a tail loss probe" if probes == len(waits) == len(rows) else ""
        why.append(f"{some}after waiting {most} for an acknowledgement{soon}")
    if needless:
        some = f"{needless:,} of them " if needless < len(rows) else ""
        why.append(f"{some}needlessly, for all of it had been acknowledged")
    text = f"{ends.who(direction)} sends {listed(what)} again"
    return f"{text}, {', '.join(why)}" if why else text


def _seen(c: Connection, row: int) -> bool:
    """The capture has an earlier copy of the segment, so that the wait for its acknowledgement can be measured."""
    earlier = (c.direction[:row] == c.direction[row]) & (c.sequence[:row] == c.sequence[row])
    return bool(np.any(earlier & ((c.length[:row] > 0) | (c.flags[:row] & (SYN | FIN) != 0))))


def _closed_windows(capture: Narrated, ends: Ends) -> Iterator[Step]:
    """From a window of 0 to the next one that is open."""
    c = ends.connection
    for reader in (0, 1):
        own = np.flatnonzero((c.direction == reader) & (c.flags & (SYN | FIN | RST) == 0))
        closed = c.window[own] == 0
        starts = np.flatnonzero(closed & ~np.concatenate([[False], closed[:-1]]))
        for start in starts:
            later = np.flatnonzero(~closed[start:])
            begin = int(own[start])
            end = int(own[start + later[0]]) if len(later) else c.size - 1
            probes = [
                row
                for row in range(begin, end + 1)
                if c.direction[row] != reader and c.marks[row] & int(Mark.ZERO_WINDOW_PROBE | Mark.WINDOW_CLOSED)
            ]
            text = f"the receive buffer of {ends.who(reader)} is full (window 0): {ends.who(1 - reader)} may not send"
            if len(later):
                room = int(c.window[end]) << max(int(capture.index.flows.shift[c.flow][reader]), 0)
                text += f" for {duration(int(c.time[end] - c.time[begin]))}, until there is room for {room:,} bytes again"
            else:
                text += ", and this capture does not show it opening again"
            if probes:
                text += f"; {ends.who(1 - reader)} asks {counted(len(probes), 'time')} whether it is open"
            rows = [begin, *probes, *([end] if len(later) else [])]
            between = [int(c.packet[row]) for row in range(begin, end + 1) if c.marks[row] & int(STALL_MARKS)]
            yield step(capture, "trouble", [*(int(c.packet[row]) for row in rows), *between], sentence(text), c.flow)


def _keep_alives(capture: Narrated, ends: Ends, held: set[int]) -> Iterator[Step]:
    c = ends.connection
    rows = [int(row) for row in c.marked(Mark.KEEP_ALIVE | Mark.KEEP_ALIVE_ACK) if int(c.packet[row]) not in held]
    asks = [row for row in rows if c.marks[row] & int(Mark.KEEP_ALIVE)]
    if asks:
        who = listed([ends.who(side) for side in (0, 1) if any(c.direction[row] == side for row in asks)])
        times, answered = counted(len(asks), "time"), len(rows) - len(asks)
        text = f"{who} asks {times} whether the other end is still there (keep-alive); {counted(answered, 'answer')} came"
        yield step(capture, "trouble", [int(c.packet[row]) for row in rows], sentence(text), c.flow)


def closing(capture: Narrated, ends: Ends) -> Iterator[Step]:
    """How the connection ends (RFC 9293, 3.6), and what each end still remembers."""
    c = ends.connection
    states = c.tcp.states
    first = states.closed_first
    last = int(c.packet[-1])
    refused = c.client >= 0 and not np.any(c.flags & (SYN | ACK) == SYN | ACK)
    if first is None:
        if not refused:
            text = "The capture ends while this connection is still open."
            yield step(capture, "close", [last], text, c.flow)
        return
    resets = np.flatnonzero(c.flags & RST != 0)
    fins = {side: np.flatnonzero((c.flags & FIN != 0) & (c.direction == side)) for side in (0, 1)}
    if states.closed_by == "RST":
        if refused:
            return
        row = int(resets[0])
        text = f"{ends.who(int(c.direction[row]))} ends the connection with a reset: neither end waits for anything more"
        more = f" ({counted(len(resets), 'reset')} in all)" if len(resets) > 1 else ""
        yield step(capture, "close", [int(c.packet[row]) for row in resets], sentence(text + more), c.flow)
        return
    packets = [int(c.packet[fins[side][0]]) for side in (0, 1) if len(fins[side])]
    text = f"{ends.who(first)} closes first (FIN)"
    other = fins[1 - first]
    if len(other):
        between = int(c.time[other[0]] - c.time[fins[first][0]])
        text += f", {ends.who(1 - first)} {duration(abs(between))} later"
    now = states.at(last)
    after = [row for row in resets if row > fins[first][0]]
    if len(after):
        row = int(after[0])
        packets += [int(c.packet[row]) for row in after]
        sender = int(c.direction[row])
        who = "it" if sender == first and not len(other) else ends.who(sender)
        text += f"; then {who} sends {counted(len(after), 'reset')}: the connection is gone at once"
    elif State.TIME_WAIT in now:
        packets += [change.packet for change in states.transitions if change.step.to in (State.TIME_WAIT, State.CLOSED)]
        keeper = listed([ends.who(side) for side in (0, 1) if now[side] is State.TIME_WAIT])
        text += f"; all is acknowledged, and {keeper} keeps the port pair in TIME-WAIT, since it closed first"
        if now[0] is now[1]:
            text = text.replace("keeps the port pair in TIME-WAIT, since it closed first", "keep the port pair in TIME-WAIT")
    else:
        words = [f"{ends.who(side)} is in {now[side].title}" for side in (ends.client, 1 - ends.client)]
        text += f"; where this capture ends, {listed(words)}"
    yield step(capture, "close", packets, sentence(text), c.flow)


def totals(ends: Ends) -> str:
    """Segments and bytes of a connection, each way."""
    c = ends.connection
    sent = int(c.length[c.direction == ends.client].sum())
    received = int(c.length.sum()) - sent
    took = duration(int(c.time[-1] - c.time[0]))
    return f"{counted(c.size, 'packet')}, {sent:,} bytes of data up and {received:,} down, in {took}"
