"""Link, IP, TCP and UDP headers of a whole window, read with numpy.

Only regular packets: Ethernet (up to two tags), Linux cooked, null or raw IP; IPv4 in one piece without options (a source
route changes the destination) or IPv6 without extension headers; TCP or UDP on no tunnel's port; headers whole. All others
are left to the slow path.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from inspector.index.columns import SHAPE_IPV4_TCP, SHAPE_IPV4_UDP, SHAPE_IPV6_TCP, SHAPE_IPV6_UDP, Column
from inspector.index.names import TCP, UDP
from inspector.sources.source import MARGIN, Batch

TUNNEL_PORTS = (1701, 2123, 2152, 3544, 4341, 4342, 4789, 4790, 5072, 5247, 6081, 8472, 37008)
ETHERNET, SLL, SLL2, NULL, LOOP = 1, 113, 276, 0, 108
RAW = (12, 14, 101, 228, 229)
IPV4, IPV6 = 0x0800, 0x86DD
Ints = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]

# The network header and the first 20 bytes of the transport's, as they lie in a packet.
_TRANSPORT = [("sport", ">u2"), ("dport", ">u2"), ("seq", ">u4"), ("ack", ">u4"), ("flags", ">u2"), ("window", ">u2"),
              ("rest", "V4")]  # fmt: skip
_HEADS = {
    IPV4: np.dtype([("version", "u1"), ("tos", "u1"), ("length", ">u2"), ("id", ">u2"), ("fragment", ">u2"), ("ttl", "u1"),
                    ("protocol", "u1"), ("checksum", ">u2"), ("addresses", "u1", 8), *_TRANSPORT]),
    IPV6: np.dtype([("version", "u1"), ("class", "u1"), ("flow", ">u2"), ("length", ">u2"), ("protocol", "u1"),
                    ("hops", "u1"), ("addresses", "u1", 32), *_TRANSPORT]),
}  # fmt: skip


class Decoded:
    """Regular packets: `rows` are their positions in the batch, in order; every array has their length.

    addresses: source and destination, 4 and 4 or 16 and 16 bytes; network: where the IP header begins; head: where the
    transport header begins, `payload` where it ends; size: bytes of payload on the wire.
    """

    __slots__ = ("ack", "addresses", "dport", "flags", "head", "network", "payload", "rows", "seq", "shape", "size", "sport",
                 "window")  # fmt: skip
    ack: Column
    addresses: Bytes
    dport: Column
    flags: Column
    head: Column
    network: Column
    payload: Column
    rows: Ints
    seq: Column
    shape: Column
    size: Column
    sport: Column
    window: Column


def decode(batch: Batch, links: Ints) -> list[Decoded]:
    """The regular packets of a batch, those over IPv4 and those over IPv6 apart. links: the link type of each packet."""
    start = batch.start
    near = int(np.searchsorted(start, len(batch.window) - MARGIN))
    found = _decode(batch.window, start[:near], batch.captured[:near], batch.wire[:near], links[:near], 0)
    if near < len(start):  # the last packets of a window: their margin is made
        cut = int(start[near])
        view = np.concatenate([batch.window[cut:], np.zeros(MARGIN, np.uint8)])
        found += _decode(view, start[near:] - cut, batch.captured[near:], batch.wire[near:], links[near:], near)
    return found


def _decode(view: Bytes, start: Ints, captured: Ints, wire: Ints, links: Ints, first: int) -> list[Decoded]:
    if not len(start):
        return []
    network, kind = _link(view, start, links)
    found = []
    for ethertype in (IPV4, IPV6):
        rows = np.flatnonzero(kind == ethertype)
        if len(rows):
            every = slice(None) if len(rows) == len(kind) else rows
            one = _internet(ethertype, view, start[every] + network[every], captured[every], wire[every], network[every])
            one.rows = rows[one.rows] + first
            found.append(one)
    return found


def _internet(kind: int, view: Bytes, at: Ints, captured: Ints, wire: Ints, network: Ints) -> Decoded:
    """The regular ones among packets whose network header, of `kind`, begins at `at`."""
    layout = _HEADS[kind]
    size = layout.itemsize
    # A head at every byte of the window: a view, of which only the wanted ones are copied.
    raw = np.ndarray((len(view) - size + 1,), np.dtype((np.void, size)), view, 0, (1,))[at]
    heads = raw.view(layout)
    protocol, length = heads["protocol"], heads["length"].astype(np.int64)
    header = size - 20
    if kind == IPV4:  # five words, and one fragment that is the whole datagram
        good = (heads["version"] == 0x45) & (heads["fragment"] & 0x3FFF == 0) & (length >= header)
        payload = np.minimum(length, wire - network) - header
    else:
        good = (heads["version"] >> 4 == 6) & (length > 0)
        payload = np.minimum(length, wire - network - header)
    # A header that claims more than was on the wire is wrong: what was there counts, as in Wireshark.
    room = np.minimum(captured - network - header, payload)
    flags = heads["flags"]
    words = flags >> 12
    own = words.astype(np.int64) * 4
    is_tcp = protocol == TCP
    tcp = good & is_tcp & (room >= 20) & (words >= 5) & (room >= own)
    udp = good & (protocol == UDP) & (room >= 8)
    datagram = None
    if udp.any():
        datagram = (heads["seq"] >> 16).astype(np.int64)  # the length stands where TCP has its number
        udp &= (datagram >= 8) & (datagram <= payload)
        udp &= ~(np.isin(heads["dport"], TUNNEL_PORTS) | np.isin(heads["sport"], TUNNEL_PORTS))
    out = Decoded()
    out.rows = np.flatnonzero(tcp | udp)
    if len(out.rows) < len(at):
        heads = raw[out.rows].view(layout)
        is_tcp, own, payload, network = (one[out.rows] for one in (is_tcp, own, payload, network))
        datagram = None if datagram is None else datagram[out.rows]
    out.network, out.head = network, network + header
    out.addresses = heads["addresses"]
    out.sport, out.dport = heads["sport"].astype(np.uint16), heads["dport"].astype(np.uint16)
    out.seq, out.ack = heads["seq"].astype(np.uint32), heads["ack"].astype(np.uint32)
    out.flags, out.window = (heads["flags"] & 0x0FFF).astype(np.uint16), heads["window"].astype(np.uint16)
    six = kind == IPV6
    out.shape = np.where(is_tcp, SHAPE_IPV6_TCP if six else SHAPE_IPV4_TCP, SHAPE_IPV6_UDP if six else SHAPE_IPV4_UDP)
    if datagram is not None:
        own = np.where(is_tcp, own, 8)
        payload = np.where(is_tcp, payload, datagram)
        for one in (out.seq, out.ack, out.flags, out.window):
            one[~is_tcp] = 0
    out.payload, out.size = out.head + own, payload - own
    return out


def _link(view: Bytes, start: Ints, links: Ints) -> tuple[Ints, Ints]:
    """Where the network header begins in each packet, and its EtherType (0 for none)."""
    pairs = np.ndarray((len(view) - 1,), ">u2", view, 0, (1,))
    if (links == links[0]).all():
        return _network(int(links[0]), start, lambda at: view[at], lambda at: pairs[at])
    network, kind = np.zeros(len(start), np.int64), np.zeros(len(start), np.int64)
    for link in np.unique(links).tolist():
        chosen = links == link
        network[chosen], kind[chosen] = _network(link, start[chosen], lambda at: view[at], lambda at: pairs[at])
    return network, kind


def _network(link: int, at: Ints, u8: Callable[[Ints], Column], u16: Callable[[Ints], Column]) -> tuple[Ints, Ints]:
    """`_link` for packets of one link type that begin at `at`."""
    if link == ETHERNET:
        where, what = np.full(len(at), 14, np.int64), u16(at + 12).astype(np.int64)
        for _ in range(2):
            tagged = (what == 0x8100) | (what == 0x88A8)
            if not tagged.any():
                break
            what[tagged] = u16(at[tagged] + where[tagged] + 2)
            where[tagged] += 4
        return where, what
    if link == SLL:
        return np.full(len(at), 16, np.int64), u16(at + 14).astype(np.int64)
    if link == SLL2:
        return np.full(len(at), 20, np.int64), u16(at).astype(np.int64)
    if link in (NULL, LOOP, *RAW):
        where = np.full(len(at), 0 if link in RAW else 4, np.int64)
        version = u8(at + where) >> 4
        what = np.where(version == 4, IPV4, np.where(version == 6, IPV6, 0))
        if link not in RAW:  # the address family must be an Internet one; others carry OSI, IPX …
            what = np.where(np.isin(u8(at) | u8(at + 3), (2, 24, 28, 30)), what, 0)
        return where, what
    return np.zeros(len(at), np.int64), np.zeros(len(at), np.int64)
