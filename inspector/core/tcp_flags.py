"""TCP's flags (RFC 9293, 3.1), which lists name before any protocol is imported."""

from __future__ import annotations

FLAGS = {"SYN": 0x02, "FIN": 0x01, "RST": 0x04, "PSH": 0x08, "ACK": 0x10, "URG": 0x20, "ECE": 0x40, "CWR": 0x80, "AE": 0x100}


def flag_words(flags: int) -> str:
    """`SYN ACK`, the flags that are set, the telling ones first."""
    return " ".join(name for name, bit in FLAGS.items() if flags & bit)


def segment_words(ports: tuple[int, int], flags: int, sequence: int, acknowledged: int, size: int) -> str:
    """A segment in one line: `51514 → 443  SYN ACK  seq 0  ack 1  len 0`; the numbers are relative."""
    acknowledges = f"  ack {acknowledged:,}" if flags & FLAGS["ACK"] else ""
    return f"{ports[0]} → {ports[1]}  {flag_words(flags)}  seq {sequence:,}{acknowledges}  len {size:,}"
