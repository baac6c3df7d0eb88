"""TCP's flags (RFC 9293, 3.1), which lists name before any protocol is imported."""

from __future__ import annotations

FIN, SYN, RST, PSH, ACK, URG, ECE, CWR, AE = (1 << bit for bit in range(9))
FLAGS = {"SYN": SYN, "FIN": FIN, "RST": RST, "PSH": PSH, "ACK": ACK, "URG": URG, "ECE": ECE, "CWR": CWR, "AE": AE}


def flag_words(flags: int) -> str:
    """`SYN ACK`, the flags that are set, the telling ones first."""
    return " ".join(name for name, bit in FLAGS.items() if flags & bit)


def segment_words(ports: tuple[int, int], flags: int, sequence: int, acknowledged: int, size: int) -> str:
    """A segment in one line: `51514 → 443  SYN ACK  seq 0  ack 1  len 0`; the numbers are relative."""
    acknowledges = f"  ack {acknowledged:,}" if flags & ACK else ""
    return f"{ports[0]} → {ports[1]}  {flag_words(flags)}  seq {sequence:,}{acknowledges}  len {size:,}"
