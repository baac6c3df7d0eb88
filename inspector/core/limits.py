"""Every limit on what a capture may cost, by name, with its reason. A limit that is reached is shown where it cuts.

Here stands what cuts something off. What a format itself sets (a name of 255 octets) stands with the format, and how far a
guess looks beside the guess.
"""

from __future__ import annotations

# --- files
MAX_CAPTURED = 256 * 1024  # bytes of a packet: what Wireshark accepts as one; more means a damaged length
MAX_BLOCK = 64 * 1024 * 1024  # bytes of a record of a capture file: a longer one is damage
MAX_SPOOL = 64 * 1024**3  # bytes of a pipe, or inflated ones, on disk
MAX_INTERFACES = 65_536  # of a capture: the index numbers them with 16 bits
MAX_REMARKS = 256 * 1024 * 1024  # bytes of memory for what a pcapng file says besides its packets: comments, names, keys
MAX_CACHE = 4 * 1024**3  # bytes of indexes in the user's cache folder: of 60 million packets, some 40 GB of captures
MAX_CACHED_TEXT = 64 * 1024 * 1024  # bytes of comments, names and the like of a capture whose index is kept
MAX_INFLATE_RATIO = 1100  # of a compressed file: deflate cannot exceed 1032:1; more means several layers or a bomb
MAX_UNPACKER = 256 * 1024 * 1024  # bytes of memory that an xz file may ask for: `xz -9` needs 65 MiB

# --- a packet
MAX_LAYERS = 32  # layers in one packet: real stacks of tunnels stay below 12; a hostile one nests for ever
MAX_FIELDS_IN_LAYER = 20_000  # a screen cannot show more, and a hostile packet can ask for millions
MAX_JUMPS = 127  # compression pointers in one DNS name: each label needs two octets at least
MAX_BORROWED_BYTES = 4096  # of a payload that dpkt or scapy is given: their time can grow with its square
MAX_BORROWED_FIELDS = 2000  # of a borrowed layer
MAX_BORROWED_DEPTH = 8  # packets inside the fields of packets, as scapy nests them: each level reads its bytes once more

# --- reassembly of datagrams
MAX_DATAGRAM = 65_535 + 60  # a reassembled IP datagram (RFC 791: total length is 16 bits)
MAX_FRAGMENTS = 8_192  # of one datagram: 65,535 bytes in pieces of 8, the least that may be cut (RFC 791, 3.2)
MAX_OPEN_DATAGRAMS = 1024  # fragmented datagrams waiting for their rest
MAX_REASSEMBLY = 16 * 1024 * 1024  # bytes of fragments that wait for their rest, of all datagrams: Linux waits with 4 MiB

# --- conversations
MAX_HELD_SEGMENTS = 65_536  # of one direction, behind a missing one: more than any window of 1-byte segments in practice
MAX_UNACKNOWLEDGED = 10_000  # segments of one direction that wait for their acknowledgement: the largest windows hold fewer
MAX_LOOKS = 256  # segments of a direction that are looked at for the start of a known protocol
MAX_NODES = 100_000  # streams inside one conversation
MAX_CONVERSATIONS = 192 * 1024 * 1024  # bytes of followed conversations in memory; others are followed again when asked for
MAX_SEGMENTS = 2_000_000  # analysed TCP segments in memory, 31 bytes each; others are analysed again when asked for

# --- messages
MAX_LINE = 64 * 1024  # bytes of a line: RFC 5321 allows 512, RFC 7162 advises 8,192 for IMAP; servers take more
MAX_LITERALS = 1000  # literals in one IMAP command or response
MAX_COMMANDS = 1000  # of one connection that wait for their reply: RFC 2920 and RFC 2449 set no limit to sending ahead
MAX_MAIL = 64 * 1024 * 1024  # bytes of a mail whose end is looked for
MAX_HANDSHAKE = 1024 * 1024  # bytes of a TLS handshake message: certificate chains stay far below
MAX_TRANSCRIPT = 256 * 1024  # bytes of messages that an extended master secret is made of (RFC 7627, 3): usually 10 KB
MAX_SESSIONS = 100_000  # TLS sessions of a capture whose secrets are remembered for those that resume them
MAX_CERTIFICATES = 100  # of one chain: OpenSSL refuses more than 100 by default
MAX_HEAD = 256 * 1024  # an HTTP head: servers refuse more than 8 to 128 KiB
MAX_CHUNK_LINE = 16 * 1024  # bytes of a chunk's size and extensions
MAX_EVENT = 16 * 1024 * 1024  # bytes of one server-sent event: browsers hold it whole in memory
MAX_STREAMS = 10_000  # HTTP/2 streams remembered in one connection, closed ones too: frames may still arrive for them
MAX_HEADER_TABLE = 1024 * 1024  # an HPACK table: browsers offer 64 KiB; a peer may claim 4 GiB
MAX_HEADER_FIELDS = 2000  # representations in one header block: one octet each can ask for a table entry of any size
MAX_HEADER_FRAMES = 64  # that one representation of a header block may be spread over
MAX_SETTINGS = 100  # SETTINGS frames that wait for their acknowledgement

# --- contents
MAX_BODY_DECODED = 16 * 1024 * 1024  # bytes of a body, of a message or of an event, decoded for looking at it
MAX_MESSAGE_RATIO = 200  # to which one side's WebSocket messages inflate, past 64 MiB: what repeats itself rarely passes 100
MAX_NESTING = 64  # JSON and protobuf inside one another
MAX_VALUES = 5000  # of one JSON document or protobuf message: more than anybody reads, and each costs a hundred times its bytes
MAX_MULTIPARTS = 8  # multiparts inside one another: mail nests three or four
MAX_PARTS = 1000  # of one multipart body: servers refuse more
MAX_PAIRS = 2000  # of one form
MAX_LINES = 2000  # of one text
MAX_TEXT = 64 * 1024  # characters of one field as people read it: a screen holds a few thousand
MAX_VALUE = 1024 * 1024  # characters of one field's value in `show --json`; its range names all of its bytes
MAX_ARCHIVED = 4 * 1024 * 1024  # bytes of one body in a HAR: JSON may write six characters for each
MAX_FOLLOWED = 32 * 1024 * 1024  # bytes of a followed stream that are broken into lines
