"""Link, IP, TCP and UDP headers of a whole window, read with numpy.

Only regular packets: Ethernet (up to two tags), Linux cooked, null or raw IP; IPv4 in one piece without options (a source
route changes the destination) or IPv6 without extension headers; TCP or UDP on no tunnel's port; headers whole. All others
are left to the slow path.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from inspector.index.columns import SHAPE_IPV4_TCP, SHAPE_IPV4_UDP, SHAPE_IPV6_TCP, SHAPE_IPV6_UDP
from inspector.sources import Batch

TUNNEL_PORTS = (2123, 2152, 3544, 4341, 4342, 4789, 4790, 5247, 6081, 8472)
ETHERNET, SLL, SLL2, NULL, LOOP = 1, 113, 276, 0, 108
RAW = (12, 14, 101, 228, 229)
Ints = npt.NDArray[np.int64]


class Decoded:
    """The regular packets of a batch: `rows` are their positions in it, and every array has their length."""

    __slots__ = ("ack", "addresses", "dport", "flags", "network", "payload", "rows", "seq", "shape", "size", "sport", "window")

    def __init__(self) -> None:
        empty = np.zeros(0, np.int64)
        self.rows = self.network = self.shape = self.sport = self.dport = empty
        self.seq = self.ack = self.flags = self.window = self.payload = self.size = empty
        self.addresses: npt.NDArray[np.uint8] = np.zeros((0, 32), np.uint8)


def decode(batch: Batch, links: Ints) -> Decoded:
    """links: the link type of every packet of the batch."""
    view = np.concatenate([batch.window, np.zeros(128, np.uint8)]) if len(batch.window) < 1 << 16 else batch.window
    limit = len(view)
    start = batch.offset - batch.base
    captured = batch.captured

    def u8(at: Ints) -> Ints:
        return view[np.minimum(at, limit - 1)].astype(np.int64)

    # A number at every byte of the window: views, of which only the wanted ones are copied.
    pairs = np.ndarray((limit - 1,), ">u2", view, 0, (1,))
    quads = np.ndarray((limit - 3,), ">u4", view, 0, (1,))

    def u16(at: Ints) -> Ints:
        return pairs[np.minimum(at, limit - 2)].astype(np.int64)

    def u32(at: Ints) -> Ints:
        return quads[np.minimum(at, limit - 4)].astype(np.int64)

    network, kind = _link(start, links, u8, u16)
    room = captured - network  # bytes from the network header on
    at = start + network
    version = u8(at)
    four = (kind == 0x0800) & (room >= 20) & (version >> 4 == 4)
    header4 = (version & 15) * 4
    fragment = u16(at + 6) & 0x3FFF
    total = u16(at + 2)
    # A header that claims more than was on the wire is wrong: what was there counts, as in Wireshark.
    total = np.where(total >= header4, np.minimum(total, batch.wire - network), total)
    four &= (header4 == 20) & (fragment == 0) & (total >= header4) & (room >= header4)
    six = (kind == 0x86DD) & (room >= 40) & (version >> 4 == 6)
    plen = u16(at + 4)
    six &= plen > 0
    plen = np.minimum(plen, batch.wire - network - 40)
    protocol = np.where(four, u8(at + 9), np.where(six, u8(at + 6), 0))
    header = np.where(four, header4, 40)
    size = np.where(four, total - header4, plen)
    transport = at + header
    room = np.minimum(room - header, size)
    udp = (four | six) & (protocol == 17) & (room >= 8)
    offset = u8(transport + 12) >> 4
    tcp = (four | six) & (protocol == 6) & (room >= 20) & (offset >= 5) & (room >= offset * 4)
    sport, dport = u16(transport), u16(transport + 2)
    length = u16(transport + 4)
    udp &= (length >= 8) & (length <= size)
    udp &= ~(np.isin(dport, TUNNEL_PORTS) | np.isin(sport, TUNNEL_PORTS))
    out = Decoded()
    rows = np.flatnonzero(tcp | udp)
    if not len(rows):
        return out
    out.rows = rows
    is_tcp = tcp[rows]
    t = transport[rows]
    out.network = network[rows]
    v4 = four[rows]
    out.shape = np.where(v4, np.where(is_tcp, SHAPE_IPV4_TCP, SHAPE_IPV4_UDP), np.where(is_tcp, SHAPE_IPV6_TCP, SHAPE_IPV6_UDP))
    out.sport, out.dport = sport[rows], dport[rows]
    out.seq = np.where(is_tcp, u32(t + 4), 0)
    out.ack = np.where(is_tcp, u32(t + 8), 0)
    out.flags = np.where(is_tcp, u16(t + 12) & 0x0FFF, 0)
    out.window = np.where(is_tcp, u16(t + 14), 0)
    head = np.where(is_tcp, offset[rows] * 4, 8)
    out.payload = t - start[rows] + head
    out.size = np.where(is_tcp, size[rows] - head, length[rows] - 8)
    addresses = np.zeros((len(rows), 32), np.uint8)
    base = at[rows]
    if v4.any():
        addresses[v4, :4] = view[base[v4][:, None] + np.arange(12, 16)]
        addresses[v4, 16:20] = view[base[v4][:, None] + np.arange(16, 20)]
    if not v4.all():
        addresses[~v4] = view[base[~v4][:, None] + np.arange(8, 40)]
    out.addresses = addresses
    return out


def _link(start: Ints, links: Ints, u8, u16) -> tuple[Ints, Ints]:  # type: ignore[no-untyped-def]
    """Where the network header begins in each packet, and its EtherType (0 for none)."""
    network = np.zeros(len(start), np.int64)
    kind = np.zeros(len(start), np.int64)
    for link in np.unique(links).tolist():
        chosen = links == link
        at = start[chosen]
        if link == ETHERNET:
            where, what = np.full(len(at), 14, np.int64), u16(at + 12)
            for _ in range(2):
                tagged = (what == 0x8100) | (what == 0x88A8)
                what = np.where(tagged, u16(at + where + 2), what)
                where = np.where(tagged, where + 4, where)
        elif link == SLL:
            where, what = np.full(len(at), 16, np.int64), u16(at + 14)
        elif link == SLL2:
            where, what = np.full(len(at), 20, np.int64), u16(at)
        elif link in (NULL, LOOP, *RAW):
            where = np.full(len(at), 0 if link in RAW else 4, np.int64)
            first = u8(at + where) >> 4
            what = np.where(first == 4, 0x0800, np.where(first == 6, 0x86DD, 0))
            if link not in RAW:  # the address family must be an Internet one; others carry OSI, IPX …
                family = u8(at) | u8(at + 3)
                what = np.where(np.isin(family, (2, 24, 28, 30)), what, 0)
        else:
            continue
        network[chosen], kind[chosen] = where, what
    return network, kind
