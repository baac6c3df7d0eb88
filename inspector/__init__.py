"""osi-inspect: a packet-level OSI and protocol inspector."""

__version__ = "0.1.0"
