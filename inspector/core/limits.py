"""Every limit, by name, with its reason. A limit that is reached is shown where it cuts."""

from __future__ import annotations

MAX_LAYERS = 32  # layers in one packet: real stacks of tunnels stay below 12; a hostile one nests for ever
MAX_FIELDS_IN_LAYER = 20_000  # a screen cannot show more, and a hostile packet can ask for millions
MAX_HEAD = 256 * 1024  # an HTTP head: servers refuse more than 8 to 128 KiB
MAX_BODY_DECODED = 16 * 1024 * 1024  # of a body, decoded for looking at it
MAX_INFLATE_RATIO = 1100  # deflate cannot exceed 1032:1; more means several layers or a bomb
MAX_DATAGRAM = 65_535 + 60  # a reassembled IP datagram (RFC 791: total length is 16 bits)
MAX_FRAGMENTS = 8_192  # of one datagram: 65,535 bytes in pieces of 8, the least that may be cut (RFC 791, 3.2)
MAX_OPEN_DATAGRAMS = 1024  # fragmented datagrams waiting for their rest
MAX_NESTING = 64  # JSON, DER, multipart inside one another
MAX_REASSEMBLY = 64 * 1024 * 1024  # bytes that one direction holds while it waits for a missing segment
MAX_HEADER_TABLE = 1024 * 1024  # an HPACK table: browsers offer 64 KiB; a peer may claim 4 GiB
MAX_HEADER_FIELDS = 2000  # representations in one header block: one octet each can ask for a table entry of any size
MAX_CONVERSATIONS = 192 * 1024 * 1024  # bytes of followed conversations in memory; others are followed again when asked for
MAX_SEGMENTS = 2_000_000  # analysed TCP segments in memory, 31 bytes each; others are analysed again when asked for
MAX_STREAMS = 10_000  # HTTP/2 streams remembered in one connection, closed ones too: frames may still arrive for them
MAX_BORROWED_BYTES = 4096  # of a payload that dpkt or scapy is given: their time can grow with its square
MAX_BORROWED_FIELDS = 2000  # of a borrowed layer
MAX_BORROWED_DEPTH = 8  # packets inside the fields of packets, as scapy nests them: each level reads its bytes once more
